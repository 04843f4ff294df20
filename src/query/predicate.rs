//! Conditions on the value of a key, and filters made of them.

use std::net::Ipv4Addr;
use std::rc::Rc;

use regex_lite::{Regex, RegexBuilder};

use crate::topology::value::Value;

use super::subject::{Key, Subject};

/// The longest regular expression in octets.
const MAX_PATTERN: usize = 1_024;

/// Texts longer than this match no regular expression: one match must not take long.
const MAX_MATCHED: usize = 1_024;

/// Octets of compiled regular expressions that are tried one after another. The one that
/// suffices tells what a match costs; what needs more than the last is refused.
const PROGRAMS: [usize; 4] = [1 << 10, 4 << 10, 16 << 10, 64 << 10];

/// A value as it stands in a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Bool(bool),
    Int(i64),
    Text(Rc<str>),
}

/// A condition on a value.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// `a <= v < b`.
    Between(i64, i64),
    Greater(i64),
    GreaterOrEqual(i64),
    /// `a < v < b`.
    Inside(i64, i64),
    Is(Literal),
    Less(i64),
    LessOrEqual(i64),
    Missing,
    /// There, and no item equals.
    Not(Literal),
    /// Missing, or no item equals.
    NotIs(Literal),
    /// `v < a` or `v > b`.
    Outside(i64, i64),
    Pattern(Rc<Pattern>),
    Present,
    /// Address and mask.
    Range4(u32, u32),
    /// One of these; of none, anything passes.
    Within(Rc<[Literal]>),
    Without(Rc<[Literal]>),
}

/// A compiled regular expression.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    /// What to charge for 4096 octets of text.
    cost: usize,
}

/// A key and what it must be.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub key: Key,
    /// Another key that will do as well: the other end of a flow's layer.
    pub other: Option<Key>,
    pub test: Test,
}

/// Terms that must all hold, or one of which must.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub terms: Rc<[Term]>,
    /// One is enough. Of no terms at all, everything passes either way.
    pub either: bool,
}

impl Pattern {
    /// Compiles a pattern that must match whole texts.
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        if pattern.starts_with('^') || pattern.ends_with('$') {
            return Err(
                "Regex are anchored by default, ^ and $ don't have to be provided".to_owned()
            );
        }
        if pattern.len() > MAX_PATTERN {
            return Err(format!("Regex longer than {MAX_PATTERN} octets"));
        }
        let anchored = format!("^(?:{pattern})$");
        let mut problem = String::new();
        for size in PROGRAMS {
            match RegexBuilder::new(&anchored).size_limit(size).build() {
                Ok(regex) => return Ok(Self { regex, cost: size }),
                Err(error) => problem = error.to_string(),
            }
        }
        Err(format!("Not a valid regex: {problem}"))
    }

    fn matches(&self, text: &str, cost: &mut usize) -> bool {
        if text.len() > MAX_MATCHED {
            return false;
        }
        *cost = cost.saturating_add(text.len().saturating_mul(self.cost) / 4_096);
        self.regex.is_match(text)
    }
}

impl Filter {
    /// What lets everything pass.
    pub(super) fn all() -> Self {
        Self { terms: Rc::new([]), either: false }
    }

    pub(super) fn one(key: &str, test: Test) -> Self {
        Self { terms: Rc::new([Term { key: Key::new(key), other: None, test }]), either: false }
    }

    /// Whether it passes; `cost` grows by what had to be looked at.
    pub(super) fn matches(&self, subject: &impl Subject, cost: &mut usize) -> bool {
        let mut terms = self.terms.iter();
        let mut holds = |term: &Term| {
            let keys = [Some(&term.key), term.other.as_ref()];
            keys.into_iter().flatten().any(|key| term.test.holds(subject, key, cost))
        };
        if self.either && !self.terms.is_empty() {
            terms.any(&mut holds)
        } else {
            terms.all(&mut holds)
        }
    }
}

impl Test {
    fn holds(&self, subject: &impl Subject, key: &Key, cost: &mut usize) -> bool {
        match self {
            Self::Missing => return !subject.has(key),
            Self::Present => return subject.has(key),
            Self::Within(list) if list.is_empty() => return true,
            Self::Not(_) if !subject.has(key) => return false,
            _ => {}
        }
        let mut looked = 0_usize;
        let found = subject.any(key, &mut |value| {
            looked = looked.saturating_add(1);
            self.hits(value, cost)
        });
        // Items of a list are cheaper than elements.
        *cost = cost.saturating_add(looked / 8);
        match self {
            Self::Not(_) | Self::NotIs(_) | Self::Without(_) => !found,
            _ => found,
        }
    }

    /// Whether one value is what decides: what is wanted, or what is not.
    fn hits(&self, value: &Value, cost: &mut usize) -> bool {
        match self {
            Self::Is(literal) | Self::Not(literal) | Self::NotIs(literal) => literal.equals(value),
            Self::Within(list) | Self::Without(list) => {
                *cost = cost.saturating_add(list.len() / 16);
                list.iter().any(|literal| literal.equals(value))
            }
            Self::Pattern(pattern) => {
                value.as_text().is_some_and(|text| pattern.matches(text, cost))
            }
            Self::Range4(network, mask) => {
                let address = value.as_text().and_then(|text| {
                    let address = text.split_once('/').map_or(text, |(address, _)| address);
                    address.parse::<Ipv4Addr>().ok()
                });
                address.is_some_and(|address| address.to_bits() & mask == *network)
            }
            Self::Less(bound) => order(value, *bound).is_some_and(|o| o.is_lt()),
            Self::LessOrEqual(bound) => order(value, *bound).is_some_and(|o| o.is_le()),
            Self::Greater(bound) => order(value, *bound).is_some_and(|o| o.is_gt()),
            Self::GreaterOrEqual(bound) => order(value, *bound).is_some_and(|o| o.is_ge()),
            Self::Between(low, high) => {
                order(value, *low).is_some_and(|o| o.is_ge())
                    && order(value, *high).is_some_and(|o| o.is_lt())
            }
            Self::Inside(low, high) => {
                order(value, *low).is_some_and(|o| o.is_gt())
                    && order(value, *high).is_some_and(|o| o.is_lt())
            }
            Self::Outside(low, high) => {
                order(value, *low).is_some_and(|o| o.is_lt())
                    || order(value, *high).is_some_and(|o| o.is_gt())
            }
            Self::Missing | Self::Present => false,
        }
    }
}

impl Literal {
    fn equals(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool(wanted), Value::Bool(value)) => wanted == value,
            (Self::Text(wanted), Value::Text(value)) => **wanted == **value,
            (Self::Int(wanted), Value::Int(_) | Value::Float(_)) => {
                order(value, *wanted).is_some_and(|o| o.is_eq())
            }
            _ => false,
        }
    }
}

/// How a number stands to a bound; `None` for what is no number.
fn order(value: &Value, bound: i64) -> Option<std::cmp::Ordering> {
    match value {
        Value::Int(value) => Some(value.cmp(&bound)),
        Value::Float(value) => value.partial_cmp(&(bound as f64)),
        _ => None,
    }
}

/// An IPv4 network, as address and mask; the address may be any of the network's.
pub(super) fn network(text: &str) -> Option<(u32, u32)> {
    let (address, length) = text.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let length: u32 = length.parse().ok().filter(|_| length.bytes().all(|b| b.is_ascii_digit()))?;
    let mask = match 32_u32.checked_sub(length)? {
        32 => 0,
        rest => u32::MAX.checked_shl(rest)?,
    };
    Some((address.to_bits() & mask, mask))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::value::Map;

    fn holds(test: Test) -> bool {
        let items = Vec::from([Value::from("10.0.0.1/24"), Value::from(5_i64), Value::from(1.5)]);
        let map = Map::new().with("k", items);
        Filter::one("k", test).matches(&map, &mut 0)
    }

    #[test]
    fn numbers_and_texts_never_equal_each_other() {
        assert!(holds(Test::Is(Literal::Int(5))));
        assert!(!holds(Test::Is(Literal::Text("5".into()))));
        assert!(!holds(Test::Is(Literal::Int(1))));
        assert!(holds(Test::Inside(1, 2)) && holds(Test::Less(2)) && !holds(Test::Less(1)));
    }

    #[test]
    fn an_ipv4_range_takes_addresses_with_a_mask() {
        for (range, inside) in [
            ("10.0.0.0/8", true),
            ("10.0.0.77/26", false),
            ("10.0.0.9/28", true),
            ("0.0.0.0/0", true),
        ] {
            let (network, mask) = network(range).unwrap();
            assert_eq!(holds(Test::Range4(network, mask)), inside, "{range}");
        }
        for wrong in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/+8", "::/0", "/"] {
            assert_eq!(network(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bombs_do_not_compile_and_patterns_match_whole_texts() {
        for bomb in ["(a{1000}){1000}", "((((a{64}){64}){64}){64})", "(?:a?){99999}"] {
            assert!(Pattern::new(bomb).is_err(), "{bomb}");
        }
        assert!(Pattern::new(&"(".repeat(1_000)).is_err());
        assert!(Pattern::new(&"a".repeat(1_025)).is_err());
        assert!(Pattern::new("^a").is_err() && Pattern::new("a$").is_err());
        let pattern = Pattern::new("a|bc").unwrap();
        assert!(pattern.matches("bc", &mut 0) && !pattern.matches("abc", &mut 0));
        assert!(!Pattern::new("a*").unwrap().matches(&"a".repeat(1_025), &mut 0));
    }
}
