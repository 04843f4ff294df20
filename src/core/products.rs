//! Which product a flow belongs to: by its payload, the name of its host, the name that DNS gave
//! its address, its address, its protocol, its port; an expression overrules them all.

use super::engine::Lore;
use super::subject::{Around, Asked};
use crate::detect::{Fact, Found, Outcome};
use crate::flow::{Flow, FlowId, OtherType, Record};

/// The application of a flow, 0 if none is known, and how it was found.
pub(super) fn of(flow: &Flow, what: &Outcome, lore: &Lore) -> (u16, Found) {
    let Lore { names, applications, .. } = lore;
    if flow.is_carrier() {
        return (0, Found::Nothing);
    }
    let (ports, protocol) = (flow.key().port, what.protocol);
    if applications.may_hold(protocol, [ports.lower, ports.upper]) {
        let record = Record::new(flow, FlowId::NONE, None);
        let around = Around::default();
        let asked = Asked { record: &record, what, names, applications: None, around };
        if let Some(id) = applications.of_flow(&asked) {
            return (id, Found::Expression);
        }
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
    None.or_else(|| of_payload().map(|id| (id, Found::Payload)))
        .or_else(|| of_fact(Fact::Host).map(|id| (id, Found::Host)))
        .or_else(|| of_fact(Fact::CertName).map(|id| (id, Found::Host)))
        .or_else(|| {
            let is_shown = lore.partial_hints && what.facts.get(Fact::Host).is_some();
            if is_shown { None } else { hinted(flow, lore).map(|id| (id, Found::Hint)) }
        })
        .or_else(|| applications.of_protocol(protocol).map(|id| (id, Found::Protocol)))
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
