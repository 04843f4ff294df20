//! The operations on the whole: who answers, the topology, the status, settings.

use super::graph::GraphText;
use super::head::Request;
use super::response::{Body, JSON, Output, Response};
use crate::core::Agent;
use crate::core::agent::Reply;
use crate::core::auth::Caller;
use crate::core::command::{Command, Failure};
use crate::core::feed::{Endpoint, Peer};
use crate::core::report::VERSION;
use crate::query::Kind;
use crate::wire::json;

/// `GET /api`.
pub(super) fn root(agent: &mut Agent, _: &Caller, _: &Request) -> Response {
    let mut out = Vec::new();
    out.extend_from_slice(b"{\"Host\":");
    json::string(&mut out, &agent.facts.hostname);
    out.extend_from_slice(b",\"Version\":");
    json::string(&mut out, VERSION);
    out.extend_from_slice(b",\"Service\":\"analyzer\"}");
    Response::json(200, out)
}

/// `GET /version`.
pub(super) fn version(_: &mut Agent, _: &Caller, _: &Request) -> Response {
    let mut out = b"{\"name\":\"portolan\",\"version\":".to_vec();
    json::string(&mut out, VERSION);
    out.push(b'}');
    Response::new(200, "application/json", Body::Full(out))
}

/// `GET /api/topology`.
pub(super) fn topology(agent: &mut Agent, caller: &Caller, request: &Request) -> Response {
    match output(request) {
        Output::Dot => run("G", Output::Dot, agent, caller),
        _ => Response::new(200, JSON, Body::Graph(Box::new(GraphText::of(&agent.graph)))),
    }
}

/// `POST /api/topology`.
pub(super) fn query(agent: &mut Agent, caller: &Caller, request: &Request) -> Response {
    if request.body.is_empty() {
        return Response::empty(204);
    }
    let members: Option<serde_json::Map<String, serde_json::Value>> =
        match serde_json::from_slice(&request.body) {
            Ok(members) => members,
            Err(error) => return Response::text(400, &error.to_string()),
        };
    // Go's decoder takes null for an object without members.
    let members = members.unwrap_or_default();
    // Go's decoder takes names in any case.
    let named = members.iter().find(|(name, _)| name.eq_ignore_ascii_case("GremlinQuery"));
    match named.map(|(_, value)| value) {
        None | Some(serde_json::Value::Null) => Response::empty(204),
        Some(serde_json::Value::String(text)) if text.trim().is_empty() => Response::empty(204),
        Some(serde_json::Value::String(text)) => run(text, output(request), agent, caller),
        Some(_) => Response::text(400, "GremlinQuery must be a string"),
    }
}

/// `GET /api/status`.
pub(super) fn status(agent: &mut Agent, _: &Caller, request: &Request) -> Response {
    let mut out = Vec::new();
    out.extend_from_slice(b"{\"Agents\":{");
    let host = agent.facts.hostname.clone();
    json::string(&mut out, &host);
    out.push(b':');
    let own = Peer {
        endpoint: Endpoint::Publisher,
        host: host.as_str().into(),
        service: "agent".into(),
        protobuf: false,
        address: request.local,
        since: agent.since(),
    };
    connection(&mut out, &own, &host, "agent");
    out.extend_from_slice(b"},\"Peers\":{\"Incomers\":{},\"Outgoers\":{}},\"Publishers\":");
    connections(&mut out, agent, &[Endpoint::Publisher, Endpoint::PubSub], &host);
    out.extend_from_slice(b",\"Subscribers\":");
    let subscribers = [Endpoint::Flows, Endpoint::Subscriber, Endpoint::PubSub];
    connections(&mut out, agent, &subscribers, &host);
    out.extend_from_slice(b",\"Alerts\":{\"IsMaster\":true},\"Captures\":{\"IsMaster\":true}");
    out.extend_from_slice(b",\"Probes\":{");
    for (at, port) in agent.facts.ports.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::string(&mut out, agent.name_of(port.slot));
        out.extend_from_slice(b":{\"State\":");
        json::string(&mut out, &port.state);
        out.extend_from_slice(b",\"PacketsDropped\":");
        json::unsigned(&mut out, port.drops);
        out.push(b'}');
    }
    out.extend_from_slice(b"},\"Counters\":{");
    for (at, (name, value)) in agent.all_counters().iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::string(&mut out, name);
        out.push(b':');
        json::unsigned(&mut out, value);
    }
    out.extend_from_slice(b"}}");
    Response::json(200, out)
}

/// `GET /api/config/{key}`.
pub(super) fn config(agent: &mut Agent, _: &Caller, request: &Request) -> Response {
    let key = request.path.get(2).map_or("", String::as_str);
    let value = match key {
        "host_id" => Some(agent.facts.hostname.clone()),
        _ => agent.settings().show(&key.replace('.', "_")),
    };
    let value = value.unwrap_or_default();
    let mut out = Vec::new();
    match (value.parse::<i64>(), value.as_str()) {
        (Ok(number), _) => json::signed(&mut out, number),
        (_, "yes") => out.extend_from_slice(b"true"),
        (_, "no") => out.extend_from_slice(b"false"),
        _ => json::string(&mut out, &value),
    }
    Response::json(200, out)
}

/// A list of things that there are none of.
pub(super) fn none(_: &mut Agent, _: &Caller, _: &Request) -> Response {
    Response::json(200, b"{}".to_vec())
}

/// The form that a client wants the answer to a query in.
fn output(request: &Request) -> Output {
    let accept = request.field("accept").unwrap_or_default();
    if accept.contains("vnd.graphviz") {
        Output::Dot
    } else if accept.contains("vnd.tcpdump.pcap") {
        Output::Pcap
    } else {
        Output::Json
    }
}

fn run(text: &str, output: Output, agent: &mut Agent, caller: &Caller) -> Response {
    let kind = match output {
        Output::Dot => "text/vnd.graphviz; charset=UTF-8",
        Output::Json => JSON,
        Output::Pcap => "application/vnd.tcpdump.pcap",
    };
    match agent.run(Command::Gremlin { query: text.to_owned() }, caller) {
        Ok(Reply::Query(run)) => Response::new(200, kind, Body::Query(run, output)),
        Ok(_) => Response::empty(204),
        Err(Failure::Query(error)) => failure(&error),
        Err(Failure::Denied) => {
            Response::text(405, "no 'capture' permission: packets are more than topology")
        }
        Err(other) => Response::text(400, &other.to_string()),
    }
}

/// What is said of a query that has no answer.
pub(super) fn failure(error: &crate::query::Error) -> Response {
    let status = if error.kind == Kind::Budget { 503 } else { 400 };
    Response::text(status, &error.to_string())
}

fn connections(out: &mut Vec<u8>, agent: &Agent, endpoints: &[Endpoint], host: &str) {
    out.push(b'{');
    let peers = agent.feed.peers().filter(|peer| endpoints.contains(&peer.endpoint));
    let mut named: Vec<&Peer> = Vec::new();
    for peer in peers {
        // One client may follow the graph and the flows: it is shown once.
        if !named.iter().any(|known| known.host == peer.host) {
            if !named.is_empty() {
                out.push(b',');
            }
            json::string(out, &peer.host);
            out.push(b':');
            connection(out, peer, host, "analyzer");
            named.push(peer);
        }
    }
    out.push(b'}');
}

fn connection(out: &mut Vec<u8>, peer: &Peer, host: &str, remote: &str) {
    out.extend_from_slice(b"{\"ServiceType\":");
    json::string(out, &peer.service);
    out.extend_from_slice(b",\"ClientProtocol\":");
    json::string(out, if peer.protobuf { "protobuf" } else { "json" });
    out.extend_from_slice(b",\"Addr\":");
    json::string(out, &peer.address.ip().to_string());
    out.extend_from_slice(b",\"Port\":");
    json::unsigned(out, peer.address.port().into());
    out.extend_from_slice(b",\"IsConnected\":true,\"ConnectTime\":");
    json::string(out, &peer.since.rfc3339());
    out.extend_from_slice(b",\"RemoteHost\":");
    json::string(out, host);
    out.extend_from_slice(b",\"RemoteServiceType\":");
    json::string(out, remote);
    out.push(b'}');
}
