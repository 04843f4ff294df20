//! Which product a flow belongs to: by its payload, the name of its host, the name that DNS gave
//! its address, its address, its protocol, its port; an expression overrules them all.

use std::net::IpAddr;

use super::engine::Lore;
use super::names::Names;
use crate::detect::{Fact, Found, Outcome};
use crate::expression::{Attribute, Given, Subject};
use crate::flow::{Flow, OtherType};

/// The application of a flow, 0 if none is known, and how it was found.
pub(super) fn of(flow: &Flow, what: &Outcome, lore: &Lore) -> (u16, Found) {
    let Lore { names, applications, .. } = lore;
    if flow.is_carrier() {
        return (0, Found::Nothing);
    }
    let candidate = Candidate { flow, what, names };
    if let Some(id) = applications.of_flow(&candidate) {
        return (id, Found::Expression);
    }
    let client = flow.initiator();
    let (server, port) = (flow.key().ip(client.other()), *flow.key().port.of(client.other()));
    let of_fact = |fact| {
        let text = std::str::from_utf8(what.facts.get(fact)?).ok()?;
        applications.of_name(text)
    };
    let of_payload = || {
        let tag = std::str::from_utf8(what.facts.get(Fact::Application)?).ok()?;
        applications.by_tag(tag).map(|application| application.id)
    };
    let of_address =
        || [server, flow.key().ip(client)].into_iter().find_map(|ip| applications.of_address(ip));
    let of_protocol =
        || applications.by_tag(what.protocol.name()).map(|application| application.id);
    None.or_else(|| of_payload().map(|id| (id, Found::Payload)))
        .or_else(|| of_fact(Fact::Host).map(|id| (id, Found::Host)))
        .or_else(|| of_fact(Fact::CertName).map(|id| (id, Found::Host)))
        .or_else(|| {
            let is_shown = lore.partial_hints && what.facts.get(Fact::Host).is_some();
            if is_shown { None } else { hinted(flow, lore).map(|id| (id, Found::Hint)) }
        })
        .or_else(|| of_protocol().map(|id| (id, Found::Protocol)))
        .or_else(|| of_address().map(|id| (id, Found::Address)))
        .or_else(|| applications.of_port(flow.key().proto, port).map(|id| (id, Found::Port)))
        .unwrap_or_default()
}

/// The application of the name that DNS gave the far end of a flow. Such names are for hosts
/// elsewhere alone.
pub(super) fn hinted(flow: &Flow, lore: &Lore) -> Option<u16> {
    let (orientation, client) = (flow.orientation(), flow.initiator());
    let is_far = orientation.other() == OtherType::Remote
        && orientation.local().is_none_or(|local| local == client);
    if !lore.hints || !is_far {
        return None;
    }
    let name = lore.names.hint(flow.key().ip(client.other()))?;
    lore.applications.of_name(name)
}

/// A flow whose application is sought: what expressions of rules may ask of it.
struct Candidate<'a> {
    flow: &'a Flow,
    what: &'a Outcome,
    names: &'a Names,
}

impl Candidate<'_> {
    fn hint(&self, address: IpAddr) -> Option<&str> {
        self.names.hint(address)
    }
}

impl Subject for Candidate<'_> {
    fn any(&self, attribute: Attribute, test: &mut dyn FnMut(Given<'_>) -> bool) -> bool {
        let (flow, what) = (self.flow, self.what);
        let key = flow.key();
        let local = flow.orientation().local().unwrap_or_else(|| flow.initiator());
        let other = local.other();
        let mut number = |n: u64| test(Given::Number(n));
        let octets = |fact| match what.facts.get(fact) {
            Some([high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
            _ => 0,
        };
        match attribute {
            Attribute::Protocol => {
                number(what.protocol.0.into()) || test(Given::Text(what.protocol.name()))
            }
            Attribute::ProtocolCategory | Attribute::Category => {
                let category = what.protocol.entry().category;
                number(u64::from(category as u8)) || test(Given::Text(category.name()))
            }
            Attribute::DetectedHostname => {
                let host = what.facts.get(Fact::Host).unwrap_or_default();
                test(Given::Text(&String::from_utf8_lossy(host)))
            }
            Attribute::DnsHostname => {
                test(Given::Text(self.hint(key.ip(other)).unwrap_or_default()))
            }
            Attribute::LocalIp => test(Given::Ip(key.ip(local))),
            Attribute::OtherIp => test(Given::Ip(key.ip(other))),
            Attribute::Ip => test(Given::Ip(key.ip(local))) || test(Given::Ip(key.ip(other))),
            Attribute::LocalMac => test(Given::Mac(*flow.macs().of(local))),
            Attribute::OtherMac => test(Given::Mac(*flow.macs().of(other))),
            Attribute::Mac => {
                let macs = flow.macs();
                test(Given::Mac(*macs.of(local))) || test(Given::Mac(*macs.of(other)))
            }
            Attribute::LocalPort => number((*key.port.of(local)).into()),
            Attribute::OtherPort => number((*key.port.of(other)).into()),
            Attribute::Port => {
                number((*key.port.of(local)).into()) || number((*key.port.of(other)).into())
            }
            Attribute::IpProtocol => number(key.proto.into()),
            Attribute::IpVersion => number(key.version.into()),
            Attribute::Vlan => number(key.vlan.into()),
            Attribute::TlsVersion => number(octets(Fact::TlsVersion)),
            Attribute::TlsCipher => number(octets(Fact::Cipher)),
            Attribute::OtherType => test(Given::Text(flow.orientation().other().name())),
            Attribute::Origin => test(Given::Text(match flow.orientation().local() {
                Some(side) if side == flow.initiator() => "local",
                Some(_) => "other",
                None => "unknown",
            })),
            Attribute::TunnelType => {
                let name = flow.tunnel().name();
                test(Given::Text(if name.is_empty() { "none" } else { name }))
            }
            Attribute::Guessed => number(what.is_guessed.into()),
            Attribute::Updated => number(what.is_refined.into()),
            Attribute::Complete => number(what.is_complete.into()),
            Attribute::Bytes => number(flow.total_bytes()),
            Attribute::Packets => number(flow.total_packets()),
            Attribute::Application
            | Attribute::ApplicationCategory
            | Attribute::DomainCategory
            | Attribute::Interface
            | Attribute::Mark
            | Attribute::Nat
            | Attribute::RiskClient
            | Attribute::RiskScore
            | Attribute::RiskServer
            | Attribute::Risks => false,
        }
    }

    fn in_group(&self, _attribute: Attribute, _group: &str) -> bool {
        false
    }
}
