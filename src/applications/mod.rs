//! Which product a flow belongs to, by rules that anybody can read and write: suffixes of host
//! names, networks, ports and expressions. The rules are text; a shipped file and the user's own
//! make up one [`Applications`].

use std::net::IpAddr;

use crate::detect::{Category, Protocol};
use crate::expression::{Attribute, Expression, Given, Subject};
use crate::packed::unpack;

pub use self::rules::{Builder, Error};

mod domains;
mod networks;
mod rules;
#[cfg(test)]
mod tests;

use self::domains::Domains;
use self::networks::Networks;

/// The rules that come with the program: `rules/portolan.rules` without its remarks.
#[must_use]
pub fn shipped() -> String {
    unpack(include_bytes!(concat!(env!("OUT_DIR"), "/portolan.rules")))
}

/// What rules may hold; what goes beyond is refused with the place.
pub const MAX_APPLICATIONS: usize = 8_192;
/// Suffixes of names.
pub const MAX_DOMAINS: usize = 32_768;
/// Networks.
pub const MAX_NETWORKS: usize = 8_192;
/// Ports.
pub const MAX_PORTS: usize = 1_024;
/// Expressions: each is tried on each flow.
pub const MAX_EXPRESSIONS: usize = 256;

/// A product. Number 0 is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Application {
    /// Its number: 20 000 to 29 999 are shipped, 30 000 to 59 999 the user's.
    pub id: u16,
    /// Its name in all outputs, `[a-z0-9-]`.
    pub tag: Box<str>,
    /// What it is for.
    pub category: Category,
}

/// All applications, and what leads to them.
#[derive(Debug, Default)]
pub struct Applications {
    /// By number.
    applications: Vec<Application>,
    /// Places of applications, by tag.
    tags: Vec<u16>,
    /// Former tags, by their text.
    aliases: Vec<(Box<str>, u16)>,
    domains: Domains,
    networks: Networks,
    /// IP protocol, port.
    ports: Vec<(u8, u16, u16)>,
    expressions: Vec<Rule>,
    /// Protocols that are called like an application, in order.
    protocols: Vec<(Protocol, u16)>,
}

/// An expression, and what tells without asking it that it does not hold.
#[derive(Debug)]
struct Rule {
    expression: Expression,
    application: u16,
    protocol: Option<Protocol>,
    /// Of either end.
    port: Option<u16>,
}

impl Rule {
    fn new(expression: Expression, application: u16) -> Self {
        let protocol = match expression.demands(Attribute::Protocol) {
            Some(Given::Number(number)) => u16::try_from(number).ok().map(Protocol),
            Some(Given::Text(name)) => Protocol::parse(name),
            _ => None,
        };
        let ports = [Attribute::Port, Attribute::LocalPort, Attribute::OtherPort];
        let port = ports.into_iter().find_map(|attribute| match expression.demands(attribute)? {
            Given::Number(number) => u16::try_from(number).ok(),
            _ => None,
        });
        let protocol = protocol.filter(|protocol| *protocol != Protocol::UNKNOWN);
        Self { expression, application, protocol, port }
    }

    fn may_hold(&self, protocol: Protocol, ports: [u16; 2]) -> bool {
        self.protocol.is_none_or(|wanted| wanted == protocol)
            && self.port.is_none_or(|wanted| ports.contains(&wanted))
    }
}

impl Applications {
    /// The application of a number.
    #[must_use]
    pub fn get(&self, id: u16) -> Option<&Application> {
        let at = self.applications.binary_search_by_key(&id, |application| application.id).ok()?;
        self.applications.get(at)
    }

    /// The application of a tag or a former tag, in any case.
    #[must_use]
    pub fn by_tag(&self, tag: &str) -> Option<&Application> {
        let folded = || tag.bytes().map(|octet| octet.to_ascii_lowercase());
        let known = |place: &u16| self.applications.get(usize::from(*place));
        let text = |place: &u16| known(place).map_or("", |found| &*found.tag).bytes();
        if let Ok(at) = self.tags.binary_search_by(|place| text(place).cmp(folded())) {
            return self.tags.get(at).and_then(known);
        }
        let at = self.aliases.binary_search_by(|(alias, _)| alias.bytes().cmp(folded())).ok()?;
        self.get(self.aliases.get(at)?.1)
    }

    /// All, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Application> {
        self.applications.iter()
    }

    /// The application of a host, by the longest suffix that is known.
    #[must_use]
    pub fn of_name(&self, host: &str) -> Option<u16> {
        self.domains.find(host).map(|(id, _)| id)
    }

    /// The same, with the suffix that the rule names.
    #[must_use]
    pub fn rule_of_name<'a>(&self, host: &'a str) -> Option<(&Application, &'a str)> {
        let (id, suffix) = self.domains.find(host)?;
        Some((self.get(id)?, suffix))
    }

    /// The application of an address, by the longest prefix that is known.
    #[must_use]
    pub fn of_address(&self, address: IpAddr) -> Option<u16> {
        self.networks.find(address).map(|(id, _)| id)
    }

    /// The same, with the network that the rule names.
    #[must_use]
    pub fn rule_of_address(&self, address: IpAddr) -> Option<(&Application, IpAddr, u8)> {
        let (id, prefix) = self.networks.find(address)?;
        let bits = networks::first(address, prefix);
        let network = match address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(bits).unwrap_or_default().into()),
            IpAddr::V6(_) => IpAddr::V6(bits.into()),
        };
        Some((self.get(id)?, network, prefix))
    }

    /// The application of a server's port; `proto` is the IP protocol number.
    #[must_use]
    pub fn of_port(&self, proto: u8, port: u16) -> Option<u16> {
        self.ports.iter().find(|(p, n, _)| (*p, *n) == (proto, port)).map(|(.., id)| *id)
    }

    /// The application that is called like a protocol.
    #[must_use]
    pub fn of_protocol(&self, protocol: Protocol) -> Option<u16> {
        let at = self.protocols.binary_search_by_key(&protocol, |(known, _)| *known).ok()?;
        self.protocols.get(at).map(|(_, id)| *id)
    }

    /// Whether [`Self::of_flow`] can find anything for a flow of this protocol and these ports.
    #[must_use]
    pub fn may_hold(&self, protocol: Protocol, ports: [u16; 2]) -> bool {
        self.expressions.iter().any(|rule| rule.may_hold(protocol, ports))
    }

    /// The application whose expression holds.
    #[must_use]
    pub fn of_flow(&self, subject: &dyn Subject) -> Option<u16> {
        let holds = |rule: &&Rule| rule.expression.matches(subject);
        self.expressions.iter().find(holds).map(|rule| rule.application)
    }

    /// Applications, suffixes, networks, ports and expressions.
    #[must_use]
    pub const fn counts(&self) -> [usize; 5] {
        [
            self.applications.len(),
            self.domains.len(),
            self.networks.len(),
            self.ports.len(),
            self.expressions.len(),
        ]
    }
}
