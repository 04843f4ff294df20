//! The description of the interface (OpenAPI 3.1), printed from the table that requests are led
//! by: it cannot say what is not so.

use super::head::Request;
use super::response::Response;
use super::routes::{self, Needs, Route};
use crate::core::Agent;
use crate::core::auth::Caller;
use crate::core::report::VERSION;
use crate::wire::json;

/// The schemas that the table names.
const SCHEMAS: &[(&str, &str)] = &[
    ("Any", "{}"),
    ("Bytes", r#"{"type":"string","format":"binary"}"#),
    ("Nothing", r#"{"type":"string","maxLength":0}"#),
    ("Text", r#"{"type":"string"}"#),
    (
        "Root",
        r#"{"type":"object","required":["Host","Version","Service"],"properties":{"Host":{"type":"string"},"Version":{"type":"string"},"Service":{"enum":["analyzer","agent"]}}}"#,
    ),
    (
        "Rows",
        r#"{"type":"object","properties":{"next":{"type":"integer"}},"additionalProperties":{"type":"array","items":{"type":"object"}}}"#,
    ),
    (
        "Query",
        r#"{"type":"object","properties":{"GremlinQuery":{"type":"string","maxLength":4096,"examples":["G.V().Has('Name','lo')"]}}}"#,
    ),
    (
        "Element",
        r#"{"type":"object","required":["ID","Host","Metadata"],"properties":{"ID":{"type":"string"},"Metadata":{"type":"object"},"Host":{"type":"string"},"Origin":{"type":"string"},"CreatedAt":{"type":"integer"},"UpdatedAt":{"type":"integer"},"DeletedAt":{"type":["integer","null"]},"Revision":{"type":"integer"}}}"#,
    ),
    (
        "Edge",
        r##"{"allOf":[{"$ref":"#/components/schemas/Element"},{"type":"object","required":["Parent","Child"],"properties":{"Parent":{"type":"string"},"Child":{"type":"string"}}}]}"##,
    ),
    (
        "Graph",
        r##"{"type":"object","required":["Nodes","Edges"],"properties":{"Nodes":{"type":"array","items":{"$ref":"#/components/schemas/Element"}},"Edges":{"type":"array","items":{"$ref":"#/components/schemas/Edge"}}}}"##,
    ),
    (
        "Status",
        r#"{"type":"object","required":["Agents","Peers","Publishers","Subscribers","Alerts","Captures","Probes","Counters"],"properties":{"Agents":{"type":"object"},"Peers":{"type":"object"},"Publishers":{"type":"object"},"Subscribers":{"type":"object"},"Alerts":{"type":"object"},"Captures":{"type":"object"},"Probes":{"type":"object"},"Counters":{"type":"object","additionalProperties":{"type":"integer"}}}}"#,
    ),
    ("Node", r##"{"$ref":"#/components/schemas/Element"}"##),
    (
        "Alert",
        r#"{"type":"object","required":["Expression"],"properties":{"Name":{"type":"string"},"Description":{"type":"string"},"Expression":{"type":"string"},"Action":{"type":"string","pattern":"^(|http://.*)$"},"Trigger":{"type":"string","pattern":"^(|graph|duration:.*)$"}}}"#,
    ),
    (
        "Capture",
        r#"{"type":"object","required":["GremlinQuery"],"properties":{"GremlinQuery":{"type":"string","maxLength":4096},"Name":{"type":"string"},"Description":{"type":"string"},"Type":{"enum":["","afpacket","pcap"]},"BPFFilter":{"type":"string","maxLength":4096},"HeaderSize":{"type":"integer","minimum":0,"maximum":4096},"RawPacketLimit":{"type":"integer","minimum":0,"maximum":10},"ExtraTCPMetric":{"type":"boolean"},"IPDefrag":{"type":"boolean"},"ReassembleTCP":{"type":"boolean"},"LayerKeyMode":{"enum":["","L2","L3"]},"ExtraLayers":{"oneOf":[{"type":"integer","minimum":0,"maximum":7},{"type":"array","items":{"enum":["VRRP","DNS","DHCPv4"]}}]},"SamplingRate":{"type":"integer"},"PollingInterval":{"type":"integer"},"Port":{"type":"integer","minimum":0,"maximum":65535},"Target":{"type":"string"},"TargetType":{"enum":["","local","netflowv5","erspanv1"]}}}"#,
    ),
    (
        "EdgeRule",
        r#"{"type":"object","required":["Src","Dst","Metadata"],"properties":{"Name":{"type":"string"},"Description":{"type":"string"},"Src":{"type":"string"},"Dst":{"type":"string"},"Metadata":{"type":"object","required":["RelationType"]}}}"#,
    ),
    (
        "Injection",
        r#"{"type":"object","required":["Src","Type"],"properties":{"Src":{"type":"string"},"Dst":{"type":"string"},"SrcIP":{"type":"string"},"DstIP":{"type":"string"},"SrcMAC":{"type":"string"},"DstMAC":{"type":"string"},"SrcPort":{"type":"integer","minimum":0,"maximum":65535},"DstPort":{"type":"integer","minimum":0,"maximum":65535},"Type":{"enum":["icmp4","icmp6","tcp4","tcp6","udp4","udp6"]},"Payload":{"type":"string","maxLength":1400},"ICMPID":{"type":"integer","minimum":0,"maximum":65535},"Count":{"type":"integer","minimum":1,"maximum":100000},"Interval":{"type":"integer","minimum":0},"Mode":{"enum":["","unique","random"]},"IncrementPayload":{"type":"integer","minimum":0},"TTL":{"type":"integer","minimum":0,"maximum":255}}}"#,
    ),
    (
        "NodeRule",
        r#"{"type":"object","required":["Action","Metadata"],"properties":{"Name":{"type":"string"},"Description":{"type":"string"},"Action":{"enum":["create","update"]},"Query":{"type":"string"},"Metadata":{"type":"object"}}}"#,
    ),
    (
        "Patch",
        r#"{"type":"array","maxItems":256,"items":{"type":"object","required":["op","path"],"properties":{"op":{"enum":["add","remove","replace","move","copy","test"]},"path":{"type":"string"},"from":{"type":"string"},"value":{}}}}"#,
    ),
    (
        "Login",
        r#"{"type":"object","required":["username","password"],"properties":{"username":{"type":"string"},"password":{"type":"string"}}}"#,
    ),
    (
        "Session",
        r#"{"type":"object","required":["Token","Permissions"],"properties":{"Token":{"type":"string"},"Permissions":{"type":"array","items":{"type":"object","properties":{"Object":{"type":"string"},"Action":{"enum":["read","write"]},"Allowed":{"type":"boolean"}}}}}}"#,
    ),
];

/// `GET /api/openapi.json`.
pub(super) fn describe(_: &mut Agent, _: &Caller, _: &Request) -> Response {
    let mut out = Vec::new();
    out.extend_from_slice(b"{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Portolan\",\"version\":");
    json::string(&mut out, VERSION);
    out.extend_from_slice(b"},\"paths\":{");
    let mut paths: Vec<&str> = Vec::new();
    for route in routes::all() {
        if paths.contains(&route.path) {
            continue;
        }
        if !paths.is_empty() {
            out.push(b',');
        }
        paths.push(route.path);
        json::string(&mut out, route.path);
        out.extend_from_slice(b":{");
        let operations = routes::all().filter(|other| other.path == route.path);
        for (at, operation) in operations.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            describe_one(&mut out, operation);
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"},\"components\":{\"schemas\":{");
    for (at, (name, schema)) in SCHEMAS.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(schema.as_bytes());
    }
    out.extend_from_slice(
        b"},\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},",
    );
    out.extend_from_slice(b"\"basic\":{\"type\":\"http\",\"scheme\":\"basic\"},");
    out.extend_from_slice(
        b"\"cookie\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"authtoken\"},",
    );
    out.extend_from_slice(
        b"\"header\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-Auth-Token\"}}}}",
    );
    Response::json(200, out)
}

fn describe_one(out: &mut Vec<u8>, route: &Route) {
    json::string(out, &route.method.name().to_ascii_lowercase());
    out.extend_from_slice(b":{\"summary\":");
    json::string(out, route.about.summary);
    out.extend_from_slice(b",\"tags\":[");
    json::string(out, route.object);
    out.push(b']');
    let names = route.path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
    for (at, name) in names.enumerate() {
        out.extend_from_slice(if at == 0 {
            b",\"parameters\":[{\"name\":"
        } else {
            b",{\"name\":"
        });
        json::string(out, name);
        out.extend_from_slice(
            b",\"in\":\"path\",\"required\":true,\"schema\":{\"type\":\"string\"}}",
        );
    }
    if route.path.contains('{') {
        out.push(b']');
    }
    if let Some((media, schema)) = route.about.body {
        out.extend_from_slice(b",\"requestBody\":{\"content\":");
        content(out, std::iter::once((media, schema)));
        out.push(b'}');
    }
    if route.needs == Needs::Nothing {
        out.extend_from_slice(b",\"security\":[]");
    } else {
        // Without credentials in the configuration none are asked for: the last one says so.
        out.extend_from_slice(
            b",\"security\":[{\"bearer\":[]},{\"basic\":[]},{\"cookie\":[]},{\"header\":[]},{}]",
        );
    }
    out.extend_from_slice(b",\"responses\":{");
    let mut told: Vec<u16> = Vec::new();
    let common: &[(u16, &str, &str)] = match route.needs {
        Needs::Nothing => &[],
        Needs::Role(_) => &[(401, "text/plain", "Text"), (405, "text/plain", "Text")],
    };
    let answers = || route.about.answers.iter().chain(common);
    for (status, ..) in answers() {
        if told.contains(status) {
            continue;
        }
        if !told.is_empty() {
            out.push(b',');
        }
        told.push(*status);
        json::string(out, &status.to_string());
        out.extend_from_slice(b":{\"description\":");
        json::string(out, super::response::reason(*status));
        out.extend_from_slice(b",\"content\":");
        content(out, answers().filter(|(s, ..)| s == status).map(|(_, m, schema)| (*m, *schema)));
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
}

fn content<'a>(out: &mut Vec<u8>, kinds: impl Iterator<Item = (&'a str, &'a str)>) {
    out.push(b'{');
    for (at, (media, schema)) in kinds.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::string(out, media);
        out.extend_from_slice(b":{\"schema\":{\"$ref\":");
        json::string(out, &format!("#/components/schemas/{schema}"));
        out.extend_from_slice(b"}}");
    }
    out.push(b'}');
}
