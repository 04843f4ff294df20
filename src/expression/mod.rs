//! The language in which flows are selected: `app == 'netflix' && !(local_ip == @kids)`. One
//! language for listings, subscriptions, application rules and telemetry. It is that of Netify's
//! flow actions, with the precedence of C (`!` before `&&` before `||`) where that has none.
//!
//! An expression is checked when it is read: an attribute that does not exist or a value that it
//! cannot have is an error with its place, never an expression that silently matches nothing.

use std::fmt;
use std::net::IpAddr;

use regex_lite::Regex;

pub use self::attribute::{ALL, Attribute, Kind};
pub use self::parse::network;

mod attribute;
mod parse;
#[cfg(test)]
mod tests;

/// Octets of an expression.
pub const MAX_TEXT: usize = 4_096;

/// Parentheses and negations within each other.
const MAX_DEPTH: usize = 32;

/// Octets that a compiled regular expression may take.
const MAX_REGEX: usize = 16 * 1024;

/// What is wrong with an expression, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// Octets before the place.
    pub at: usize,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at column {}", self.problem, self.at.saturating_add(1))
    }
}

/// A value that a flow has for an attribute. Tags have two: their number and their name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Given<'a> {
    /// Numbers and flags.
    Number(u64),
    /// Names.
    Text(&'a str),
    /// An address of an end.
    Ip(IpAddr),
    /// A hardware address of an end.
    Mac([u8; 6]),
}

/// What expressions are asked of.
pub trait Subject {
    /// Shows the values of an attribute one after the other until `test` is true of one; whether
    /// it was. Attributes that it does not have show nothing.
    fn any(&self, attribute: Attribute, test: &mut dyn FnMut(Given<'_>) -> bool) -> bool;

    /// Whether the address of an attribute lies in an address group.
    fn in_group(&self, attribute: Attribute, group: &str) -> bool;
}

/// A checked expression.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Box<str>,
    root: Node,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// Where it is wrong, and why.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_TEXT {
            let problem = format!("an expression has at most {MAX_TEXT} octets");
            return Err(Error { at: MAX_TEXT, problem });
        }
        Ok(Self { text: text.into(), root: parse::expression(text)? })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first attribute that it asks for and that `is_meant`; the flag says that it is looked up
    /// in an address group.
    #[must_use]
    pub fn find(&self, is_meant: &dyn Fn(Attribute, bool) -> bool) -> Option<Attribute> {
        self.root.find(is_meant)
    }

    /// What an attribute is in every flow that it is true of, where it says so: most flows are
    /// passed over by that alone.
    #[must_use]
    pub fn demands(&self, attribute: Attribute) -> Option<Given<'_>> {
        self.root.demands(attribute)
    }

    /// Whether it is true of a flow.
    #[must_use]
    pub fn matches(&self, subject: &dyn Subject) -> bool {
        self.root.holds(subject)
    }
}

#[derive(Clone, Debug)]
enum Node {
    All,
    Not(Box<Self>),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    Test(Attribute, Operator, Value),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What an attribute is compared with.
#[derive(Clone, Debug)]
enum Value {
    /// Is set, is not 0.
    Set,
    Number(u64),
    /// In lower case.
    Text(Box<str>),
    Regex(Box<Regex>),
    Network(IpAddr, u8),
    Mac([u8; 6]),
    Group(Box<str>),
}

impl Node {
    fn find(&self, is_meant: &dyn Fn(Attribute, bool) -> bool) -> Option<Attribute> {
        match self {
            Self::All => None,
            Self::Not(node) => node.find(is_meant),
            Self::And(both) | Self::Or(both) => both.iter().find_map(|node| node.find(is_meant)),
            Self::Test(attribute, _, value) => {
                let in_group = matches!(value, Value::Group(_));
                is_meant(*attribute, in_group).then_some(*attribute)
            }
        }
    }

    fn demands(&self, attribute: Attribute) -> Option<Given<'_>> {
        match self {
            Self::And(both) => both.iter().find_map(|node| node.demands(attribute)),
            Self::Test(tested, Operator::Equal, value) if *tested == attribute => match value {
                Value::Number(number) => Some(Given::Number(*number)),
                Value::Text(text) => Some(Given::Text(text)),
                _ => None,
            },
            _ => None,
        }
    }

    fn holds(&self, subject: &dyn Subject) -> bool {
        match self {
            Self::All => true,
            Self::Not(node) => !node.holds(subject),
            Self::And(both) => both.iter().all(|node| node.holds(subject)),
            Self::Or(both) => both.iter().any(|node| node.holds(subject)),
            Self::Test(attribute, operator, value) => {
                let found = match value {
                    Value::Group(group) => subject.in_group(*attribute, group),
                    _ => subject.any(*attribute, &mut |given| value.fits(given, *operator)),
                };
                found != (*operator == Operator::Unequal)
            }
        }
    }
}

impl Value {
    /// Whether a value of the flow compares like that; `!=` is turned round by the caller.
    fn fits(&self, given: Given<'_>, operator: Operator) -> bool {
        match (self, given) {
            (Self::Set, Given::Number(number)) => number != 0,
            (Self::Set, Given::Text(text)) => !text.is_empty(),
            (Self::Set, _) => true,
            (Self::Number(wanted), Given::Number(number)) => match operator {
                Operator::Equal | Operator::Unequal => number == *wanted,
                Operator::Less => number < *wanted,
                Operator::LessOrEqual => number <= *wanted,
                Operator::Greater => number > *wanted,
                Operator::GreaterOrEqual => number >= *wanted,
            },
            (Self::Text(wanted), Given::Text(text)) => text.eq_ignore_ascii_case(wanted),
            (Self::Regex(regex), Given::Text(text)) => regex.is_match(text),
            (Self::Network(network, prefix), Given::Ip(ip)) => lies_in(ip, *network, *prefix),
            (Self::Mac(wanted), Given::Mac(mac)) => mac == *wanted,
            _ => false,
        }
    }
}

/// Whether the first bits of both are the same.
#[must_use]
pub fn lies_in(ip: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let (ip, network, width) = match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            (u128::from(ip.to_bits()), u128::from(network.to_bits()), 32_u8)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => (ip.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let shift = u32::from(width.saturating_sub(prefix));
    (ip ^ network).checked_shr(shift).unwrap_or(0) == 0
}
