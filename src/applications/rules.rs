//! Rules as text, one a line:
//!
//! ```text
//! app <id> <tag> [category]
//! dom <suffix>
//! net <cidr>
//! port <tcp|udp|sctp>/<n>
//! expr <expression>
//! alias <former tag>
//! ```
//!
//! All but `app` belong to the application above them; the application of a later file may go on
//! with one of an earlier by naming its id and tag again. `#` begins a remark.

use std::fmt;
use std::net::IpAddr;

use super::domains::Domains;
use super::networks::Networks;
use super::{
    Application, Applications, MAX_APPLICATIONS, MAX_DOMAINS, MAX_EXPRESSIONS, MAX_NETWORKS,
    MAX_PORTS, Rule,
};
use crate::detect::Category;
use crate::detect::protocol::{Entry, TABLE};
use crate::expression::{self, Attribute, Expression};
use crate::text::is_hidden;
use crate::wire::proto;

/// Numbers that rules may give.
const IDS: std::ops::RangeInclusive<u16> = 20_000..=59_999;

/// Octets of a tag.
const MAX_TAG: usize = 64;

/// What is wrong with a rule, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// Line, from 1.
    pub line: usize,
    /// Column in octets, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.problem)
    }
}

/// Reads rules, file after file.
#[derive(Debug, Default)]
pub struct Builder {
    applications: Vec<Application>,
    aliases: Vec<(Box<str>, u16)>,
    domains: Domains,
    networks: Vec<(u8, IpAddr, u16)>,
    ports: Vec<(u8, u16, u16)>,
    expressions: Vec<Rule>,
}

impl Builder {
    /// Takes in the rules of a file.
    ///
    /// # Errors
    ///
    /// The first line that is wrong; what was before it has been taken in.
    pub fn read(&mut self, text: &str) -> Result<(), Error> {
        let mut current = None;
        for (line, number) in text.lines().zip(1_usize..) {
            let rule = line.split('#').next().unwrap_or_default().trim_end();
            let Some((word, at)) = words(rule).next() else { continue };
            // An expression may hold a `#` of its own, within quotes.
            let rule = if word == "expr" { line.trim_end() } else { rule };
            let result = if word == "app" {
                self.application(rule).map(|id| current = Some(id))
            } else {
                match current {
                    Some(id) => self.rule(word, at, rule, id),
                    None => Err((at, "an app line comes first: app <id> <tag> [category]".into())),
                }
            };
            result.map_err(|(at, problem)| {
                let column = at.saturating_add(1);
                Error { line: number, column, problem }
            })?;
        }
        Ok(())
    }

    /// All that was read.
    #[must_use]
    pub fn finish(mut self) -> Applications {
        self.applications.sort_by_key(|application| application.id);
        self.applications.shrink_to_fit();
        self.domains.sort();
        let places = 0..u16::try_from(self.applications.len()).unwrap_or(u16::MAX);
        let mut tags: Vec<u16> = places.collect();
        tags.sort_by_key(|place| self.applications.get(usize::from(*place)).map(|a| &*a.tag));
        // The first of those that are equal counts.
        self.aliases.sort_by(|a, b| a.0.cmp(&b.0));
        self.aliases.dedup_by(|later, first| later.0 == first.0);
        let mut all = Applications {
            applications: self.applications,
            tags,
            aliases: self.aliases,
            domains: self.domains,
            networks: Networks::new(self.networks),
            ports: self.ports,
            expressions: self.expressions,
            protocols: Vec::new(),
        };
        let called = |entry: &Entry| Some((entry.protocol, all.by_tag(entry.name)?.id));
        let mut protocols: Vec<_> = TABLE.iter().filter_map(called).collect();
        protocols.sort_unstable();
        all.protocols = protocols;
        all
    }

    fn application(&mut self, rule: &str) -> Result<u16, Problem> {
        let mut words = words(rule).skip(1);
        let end = rule.len();
        let Some((number, at)) = words.next() else {
            return Err((end, "a number is missing: app <id> <tag> [category]".into()));
        };
        let id = number.parse().ok().filter(|id| IDS.contains(id));
        let Some(id) = id else {
            let (first, last) = (IDS.start(), IDS.end());
            return Err((at, format!("the number of an application is {first} to {last}")));
        };
        let Some((tag, at)) = words.next() else {
            return Err((end, "a tag is missing: app <id> <tag> [category]".into()));
        };
        if !is_tag(tag) {
            return Err((at, format!("a tag is 1 to {MAX_TAG} of a-z, 0-9 and -")));
        }
        let category = match words.next() {
            None => Category::Unknown,
            Some((name, at)) => Category::parse(name)
                .ok_or_else(|| (at, format!("there is no category \"{}\"", shown(name))))?,
        };
        if let Some((_, at)) = words.next() {
            return Err((at, "nothing more is expected here".into()));
        }
        match self.applications.iter().find(|a| a.id == id || *a.tag == *tag) {
            Some(same) if same.id == id && *same.tag == *tag => return Ok(id),
            Some(other) => {
                return Err((at, format!("{} is {} already", other.tag, other.id)));
            }
            None => {}
        }
        if self.applications.len() >= MAX_APPLICATIONS {
            return Err((0, format!("more than {MAX_APPLICATIONS} applications")));
        }
        self.applications.push(Application { id, tag: tag.into(), category });
        Ok(id)
    }

    fn rule(&mut self, word: &str, at: usize, rule: &str, id: u16) -> Result<(), Problem> {
        let mut rest = words(rule).skip(1);
        let missing = (rule.len(), format!("{} wants a value", shown(word)));
        if word == "expr" {
            let Some((_, from)) = rest.next() else { return Err(missing) };
            return self.expression(rule.get(from..).unwrap_or_default(), from, id);
        }
        if !matches!(word, "dom" | "net" | "port" | "alias") {
            let problem = format!(
                "there is no rule \"{}\": app, dom, net, port, expr and alias are known",
                shown(word)
            );
            return Err((at, problem));
        }
        let (value, at) = rest.next().ok_or(missing)?;
        if let Some((_, at)) = rest.next() {
            return Err((at, "nothing more is expected here".into()));
        }
        match word {
            "dom" => {
                if !is_suffix(value) {
                    return Err((at, "a suffix is labels of a-z, 0-9, - and _ with dots".into()));
                }
                room(self.domains.len(), MAX_DOMAINS, at, "suffixes")?;
                self.domains.push(&value.to_ascii_lowercase(), id);
            }
            "net" => {
                let network = expression::network(value);
                let Some((network, prefix)) = network else {
                    return Err((at, "a network is ADDRESS/LENGTH".into()));
                };
                room(self.networks.len(), MAX_NETWORKS, at, "networks")?;
                self.networks.push((prefix, network, id));
            }
            "port" => {
                let port = value.split_once('/').and_then(|(name, port)| {
                    let number = proto::parse(name).filter(|n| matches!(n, 6 | 17 | 132))?;
                    Some((number, port.parse().ok().filter(|port| *port != 0)?))
                });
                let Some((number, port)) = port else {
                    return Err((at, "a port is tcp/443, udp/53 or sctp/36412".into()));
                };
                room(self.ports.len(), MAX_PORTS, at, "ports")?;
                self.ports.push((number, port, id));
            }
            _ => {
                if !is_tag(value) {
                    return Err((at, format!("a tag is 1 to {MAX_TAG} of a-z, 0-9 and -")));
                }
                room(self.aliases.len(), MAX_APPLICATIONS, at, "aliases")?;
                self.aliases.push((value.into(), id));
            }
        }
        Ok(())
    }

    fn expression(&mut self, text: &str, from: usize, id: u16) -> Result<(), Problem> {
        room(self.expressions.len(), MAX_EXPRESSIONS, from, "expressions")?;
        let expression = Expression::parse(text)
            .map_err(|error| (from.saturating_add(error.at), error.problem))?;
        // It is looked at while the application is being sought, by whoever reads packets.
        let unknown = expression.find(&|attribute, in_group| in_group || is_later(attribute));
        if let Some(attribute) = unknown {
            let name = attribute.name();
            return Err((from, format!("{name} cannot be asked for here: it is not known yet")));
        }
        self.expressions.push(Rule::new(expression, id));
        Ok(())
    }
}

/// What is only known of a flow once its application is, or besides its packets.
const fn is_later(attribute: Attribute) -> bool {
    matches!(
        attribute,
        Attribute::Application
            | Attribute::ApplicationCategory
            | Attribute::DomainCategory
            | Attribute::Interface
            | Attribute::Mark
            | Attribute::Nat
            | Attribute::Offloaded
    )
}

/// Octets before the place, and what is wrong there.
type Problem = (usize, String);

fn room(len: usize, cap: usize, at: usize, what: &str) -> Result<(), Problem> {
    if len < cap { Ok(()) } else { Err((at, format!("more than {cap} {what}"))) }
}

/// Words with the octets before them.
fn words(line: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut at = 0_usize;
    std::iter::from_fn(move || {
        let rest = line.get(at..)?;
        let trimmed = rest.trim_start();
        let start = line.len().saturating_sub(trimmed.len());
        let end = trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
        at = start.saturating_add(end);
        trimmed.get(..end).filter(|word| !word.is_empty()).map(|word| (word, start))
    })
}

fn is_tag(tag: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=MAX_TAG).contains(&tag.len()) && tag.bytes().all(allowed)
}

fn is_suffix(name: &str) -> bool {
    let label = |label: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// A word of the file as it may be shown in a message.
fn shown(word: &str) -> String {
    word.chars().take(64).map(|c| if is_hidden(c) { '?' } else { c }).collect()
}
