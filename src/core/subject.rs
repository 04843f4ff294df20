//! What expressions may ask of a flow: every attribute is answered from the record and the outcome
//! of the flow, and from what else is known of its ends. The same for listings, events, rules and
//! files.

use crate::applications::Applications;
use crate::conntrack::{self, Table};
use crate::detect::{Category, Fact, Found, Outcome};
use crate::expression::{Attribute, Given, Subject};
use crate::flow::record::End;
use crate::flow::{OtherType, Record};
use crate::group::{Entry, Store};
use crate::topology::links::Links;

use super::names::Names;

/// What stands around a flow in a running agent; in a file nothing does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// Address groups.
    pub groups: Option<&'a Store>,
    /// Interfaces.
    pub links: Option<&'a Links>,
    /// What the kernel knows of connections.
    pub connections: Option<&'a Table>,
}

/// A flow that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who, when and how much.
    pub record: &'a Record,
    /// With what.
    pub what: &'a Outcome,
    /// Names of hosts.
    pub names: &'a Names,
    /// None while the application of the flow is being sought: it is not known then.
    pub applications: Option<&'a Applications>,
    /// What else is known.
    pub around: Around<'a>,
}

impl Asked<'_> {
    fn text(&self, fact: Fact, test: &mut dyn FnMut(Given<'_>) -> bool) -> bool {
        let value = self.what.facts.get(fact).unwrap_or_default();
        test(Given::Text(&String::from_utf8_lossy(value)))
    }

    /// Two octets as a number, 0 if it is not known.
    fn number(&self, fact: Fact) -> u64 {
        match self.what.facts.get(fact) {
            Some([high, low]) => u64::from(u16::from_be_bytes([*high, *low])),
            _ => 0,
        }
    }

    fn application_category(&self) -> Category {
        let known = self.applications.and_then(|all| all.get(self.what.application));
        known.map_or(Category::Unknown, |application| application.category)
    }

    fn domain_category(&self) -> Category {
        match self.what.found {
            Found::Host | Found::Hint => self.application_category(),
            _ => Category::Unknown,
        }
    }

    fn connection(&self) -> Option<conntrack::Found<'_>> {
        self.around.connections?.of_record(self.record)
    }

    /// The ends that an attribute is about.
    fn ends(&self, attribute: Attribute) -> impl Iterator<Item = &End> {
        let (local, other) = self.record.local_and_other();
        let is_local = !matches!(attribute, Attribute::OtherIp | Attribute::OtherMac);
        let is_other = !matches!(attribute, Attribute::LocalIp | Attribute::LocalMac);
        [(local, is_local), (other, is_other)].into_iter().filter(|(_, is)| *is).map(|(end, _)| end)
    }
}

impl Subject for Asked<'_> {
    fn any(&self, attribute: Attribute, test: &mut dyn FnMut(Given<'_>) -> bool) -> bool {
        let (record, what) = (self.record, self.what);
        let (local, other) = record.local_and_other();
        match attribute {
            Attribute::Application => {
                let Some(all) = self.applications else { return false };
                let tag = all.get(what.application).map_or("unknown", |known| &known.tag);
                test(Given::Number(what.application.into())) || test(Given::Text(tag))
            }
            Attribute::ApplicationCategory => {
                self.applications.is_some() && category(test, self.application_category())
            }
            Attribute::DomainCategory => {
                self.applications.is_some() && category(test, self.domain_category())
            }
            Attribute::ProtocolCategory => category(test, what.protocol.entry().category),
            Attribute::Category => {
                category(test, what.protocol.entry().category)
                    || self.applications.is_some() && category(test, self.application_category())
            }
            Attribute::Protocol => {
                number(test, what.protocol.0.into()) || test(Given::Text(what.protocol.name()))
            }
            Attribute::DetectedHostname => self.text(Fact::Host, test),
            Attribute::DnsHostname => {
                let name = self.names.hint(other.ip);
                let name = name.filter(|_| record.other_type == OtherType::Remote);
                test(Given::Text(name.unwrap_or_default()))
            }
            Attribute::LocalIp | Attribute::OtherIp | Attribute::Ip => {
                self.ends(attribute).any(|end| test(Given::Ip(end.ip)))
            }
            Attribute::LocalMac | Attribute::OtherMac | Attribute::Mac => {
                self.ends(attribute).filter_map(|end| end.mac).any(|mac| test(Given::Mac(mac)))
            }
            Attribute::LocalPort => number(test, local.port.into()),
            Attribute::OtherPort => number(test, other.port.into()),
            Attribute::Port => number(test, local.port.into()) || number(test, other.port.into()),
            Attribute::IpProtocol => number(test, record.proto.into()),
            Attribute::IpVersion => number(test, record.version.into()),
            Attribute::Vlan => number(test, record.vlan.into()),
            Attribute::Interface => {
                let link = self.around.links.and_then(|links| links.get(record.iface));
                test(Given::Text(link.map_or("", |link| &link.name)))
            }
            Attribute::Mark => {
                number(test, self.connection().map_or(0, |found| found.mark().into()))
            }
            Attribute::TlsVersion => number(test, self.number(Fact::TlsVersion)),
            Attribute::TlsCipher => number(test, self.number(Fact::Cipher)),
            Attribute::OtherType => test(Given::Text(record.other_type.name())),
            Attribute::Origin => test(Given::Text(match record.is_initiator_local {
                Some(true) => "local",
                Some(false) => "other",
                None => "unknown",
            })),
            Attribute::TunnelType => {
                let name = record.tunnel.name();
                test(Given::Text(if name.is_empty() { "none" } else { name }))
                    // As Netify calls it.
                    || name == "gtp-u" && test(Given::Text("gtp"))
            }
            // No risks are looked for: none is found.
            Attribute::Risks => false,
            Attribute::RiskClient | Attribute::RiskScore | Attribute::RiskServer => number(test, 0),
            Attribute::Nat => {
                number(test, self.connection().is_some_and(|found| found.is_translated()).into())
            }
            Attribute::Offloaded => number(test, record.is_offloaded.into()),
            Attribute::Guessed => number(test, what.is_guessed.into()),
            Attribute::Updated => number(test, what.is_refined.into()),
            Attribute::Complete => number(test, what.is_complete.into()),
            Attribute::Bytes => number(test, record.bytes()),
            Attribute::Packets => number(test, record.packets()),
        }
    }

    fn in_group(&self, attribute: Attribute, group: &str) -> bool {
        let Some(groups) = self.around.groups else { return false };
        let macs = matches!(attribute, Attribute::LocalMac | Attribute::OtherMac | Attribute::Mac);
        self.ends(attribute).any(|end| {
            let entry = if macs { end.mac.map(Entry::Mac) } else { Some(Entry::from(end.ip)) };
            let mut found = false;
            if let Some(entry) = entry {
                groups.matches(entry, |id| found |= groups.name(id) == Some(group));
            }
            found
        })
    }
}

type Test<'a> = &'a mut dyn FnMut(Given<'_>) -> bool;

fn number(test: Test<'_>, number: u64) -> bool {
    test(Given::Number(number))
}

fn category(test: Test<'_>, category: Category) -> bool {
    test(Given::Number(u64::from(category as u8))) || test(Given::Text(category.name()))
}
