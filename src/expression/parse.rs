//! From text to a checked tree: recursive descent, as deep as parentheses may go.

use std::net::IpAddr;

use regex_lite::RegexBuilder;

use super::attribute::{Attribute, Kind};
use super::{Error, MAX_DEPTH, MAX_REGEX, Node, Operator, Value};
use crate::text::is_hidden;
use crate::wire::mac;

/// What a compact test asks for: `ai:netflix`.
const COMPACT: [(&str, Attribute); 4] = [
    ("ai:", Attribute::Application),
    ("pi:", Attribute::Protocol),
    ("ac:", Attribute::ApplicationCategory),
    ("pc:", Attribute::ProtocolCategory),
];

/// The prefix of tags in rules made for Netify.
const PREFIX: &str = "netify.";

pub(super) fn expression(text: &str) -> Result<Node, Error> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let mut result = None;
    loop {
        while parser.eat(";") {}
        if parser.is_at_end() {
            break;
        }
        // Each statement takes the place of what was before it.
        result = Some(parser.either()?);
        if !parser.is_at_end() && !parser.text_ahead().starts_with(';') {
            return Err(parser.error("a test ends here: && or || joins two"));
        }
    }
    result.ok_or_else(|| parser.error("nothing is asked: * is all flows"))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn either(&mut self) -> Result<Node, Error> {
        let mut node = self.both()?;
        while self.eat("||") || self.eat_word("or") {
            node = Node::Or(Box::new([node, self.both()?]));
        }
        Ok(node)
    }

    fn both(&mut self) -> Result<Node, Error> {
        let mut node = self.single()?;
        while self.eat("&&") || self.eat_word("and") {
            node = Node::And(Box::new([node, self.single()?]));
        }
        Ok(node)
    }

    fn single(&mut self) -> Result<Node, Error> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > MAX_DEPTH {
            return Err(self.error("too many parentheses within each other"));
        }
        let node = if self.eat("!") || self.eat_word("not") {
            Node::Not(Box::new(self.single()?))
        } else if self.eat("(") {
            let node = self.either()?;
            if !self.eat(")") {
                return Err(self.error("a parenthesis is missing"));
            }
            node
        } else if self.eat("*") {
            Node::All
        } else {
            self.test()?
        };
        self.depth = self.depth.saturating_sub(1);
        Ok(node)
    }

    fn test(&mut self) -> Result<Node, Error> {
        let start = self.start();
        let word = self.word();
        if word.is_empty() {
            return Err(self.error("an attribute is missing: protocol, app, local_ip, ..."));
        }
        for (prefix, attribute) in COMPACT {
            if let Some(tag) = word.get(..prefix.len()).filter(|p| p.eq_ignore_ascii_case(prefix)) {
                let value = tag_value(word.get(tag.len()..).unwrap_or_default());
                let value = value.ok_or_else(|| error_at(start, "a tag or a number is missing"))?;
                return Ok(Node::Test(attribute, Operator::Equal, value));
            }
        }
        let Some(attribute) = Attribute::parse(word) else {
            let problem = format!("there is no attribute \"{}\"", shown(word));
            return Err(error_at(start, &problem));
        };
        let operator = self.operator();
        let Some(operator) = operator else {
            return Ok(Node::Test(attribute, Operator::Equal, Value::Set));
        };
        let at = self.start();
        let is_order = !matches!(operator, Operator::Equal | Operator::Unequal);
        if is_order && attribute.kind() != Kind::Number {
            let problem = format!("{} has no order: == or !=", attribute.name());
            return Err(error_at(at, &problem));
        }
        let value = self.value(attribute)?;
        // `flag == false` is `!flag`.
        if let (Kind::Flag, Value::Number(0)) = (attribute.kind(), &value) {
            let inverse = match operator {
                Operator::Equal => Operator::Unequal,
                _ => Operator::Equal,
            };
            return Ok(Node::Test(attribute, inverse, Value::Set));
        }
        Ok(Node::Test(attribute, operator, value))
    }

    fn operator(&mut self) -> Option<Operator> {
        for (text, operator) in [
            ("==", Operator::Equal),
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ] {
            if self.eat(text) {
                return Some(operator);
            }
        }
        None
    }

    fn value(&mut self, attribute: Attribute) -> Result<Value, Error> {
        let at = self.start();
        let (text, is_quoted) = self.literal()?;
        let name = attribute.name();
        let wrong = |what: &str| {
            let problem = format!("{name} is {what}, not \"{}\"", shown(text));
            error_at(at, &problem)
        };
        if let Some(group) = text.strip_prefix('@').filter(|_| !is_quoted) {
            if !matches!(attribute.kind(), Kind::Address | Kind::Mac) {
                return Err(wrong("not an address"));
            }
            if !crate::group::store::is_name(group) {
                return Err(wrong("in a group: @NAME of letters, digits, _ . -"));
            }
            return Ok(Value::Group(group.into()));
        }
        match attribute.kind() {
            Kind::Address => network(text)
                .map(|(ip, prefix)| Value::Network(ip, prefix))
                .ok_or_else(|| wrong("an address, a network or @GROUP")),
            Kind::Constant(prefix, known) => {
                let word = text.to_ascii_lowercase();
                let word = word.strip_prefix(prefix).unwrap_or(&word);
                if known.contains(&word) {
                    Ok(Value::Text(word.into()))
                } else {
                    Err(wrong(&format!("one of {}", known.join(", "))))
                }
            }
            Kind::Flag => match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(Value::Set),
                "false" | "0" => Ok(Value::Number(0)),
                _ => Err(wrong("true or false")),
            },
            Kind::Mac => mac::parse(text).map(Value::Mac).ok_or_else(|| wrong("a MAC or @GROUP")),
            Kind::Number => number(text).map(Value::Number).ok_or_else(|| wrong("a number")),
            Kind::Tag if text.starts_with("rx:") => self.text_value(at, text),
            Kind::Tag => tag_value(text).ok_or_else(|| wrong("a tag or a number")),
            Kind::Text => self.text_value(at, text),
        }
    }

    fn text_value(&self, at: usize, text: &str) -> Result<Value, Error> {
        let Some(pattern) = text.strip_prefix("rx:") else {
            return Ok(Value::Text(text.to_ascii_lowercase().into()));
        };
        let mut builder = RegexBuilder::new(pattern);
        let regex = builder.case_insensitive(true).size_limit(MAX_REGEX).nest_limit(16).build();
        regex.map(|regex| Value::Regex(Box::new(regex))).map_err(|error| {
            error_at(at, &format!("not a regular expression: {}", shown(&error.to_string())))
        })
    }

    /// A value as it was written, and whether it had quotes.
    fn literal(&mut self) -> Result<(&'a str, bool), Error> {
        let ahead = self.text_ahead();
        for quote in ['\'', '"'] {
            let Some(rest) = ahead.strip_prefix(quote) else { continue };
            let Some(end) = rest.find(quote) else {
                return Err(self.error("a quote is missing"));
            };
            self.at = self.at.saturating_add(end).saturating_add(2);
            return Ok((rest.get(..end).unwrap_or_default(), true));
        }
        let word = self.word();
        if word.is_empty() {
            return Err(self.error("a value is missing"));
        }
        Ok((word, false))
    }

    /// Octets before what comes next.
    fn start(&mut self) -> usize {
        self.text_ahead();
        self.at
    }

    /// What comes next, behind blanks.
    fn text_ahead(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_ascii_start();
        self.at = self.text.len().saturating_sub(trimmed.len());
        trimmed
    }

    fn is_at_end(&mut self) -> bool {
        self.text_ahead().is_empty()
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.text_ahead().starts_with(token);
        if found {
            self.at = self.at.saturating_add(token.len());
        }
        found
    }

    fn eat_word(&mut self, wanted: &str) -> bool {
        let before = self.start();
        if self.word().eq_ignore_ascii_case(wanted) {
            return true;
        }
        self.at = before;
        false
    }

    fn word(&mut self) -> &'a str {
        let ahead = self.text_ahead();
        let ends = |c: char| c.is_ascii_whitespace() || "!=<>&|();'\"*".contains(c);
        let end = ahead.find(ends).unwrap_or(ahead.len());
        self.at = self.at.saturating_add(end);
        ahead.get(..end).unwrap_or_default()
    }

    fn error(&self, problem: &str) -> Error {
        error_at(self.at, problem)
    }
}

fn error_at(at: usize, problem: &str) -> Error {
    Error { at, problem: problem.to_owned() }
}

/// A word of the text as it may be shown in a message.
fn shown(word: &str) -> String {
    word.chars().take(64).map(|c| if is_hidden(c) { '?' } else { c }).collect()
}

/// A tag with or without Netify's prefix, or a number.
fn tag_value(text: &str) -> Option<Value> {
    if let Some(number) = number(text) {
        return Some(Value::Number(number));
    }
    let lower = text.to_ascii_lowercase();
    let tag = lower.strip_prefix(PREFIX).unwrap_or(&lower);
    (!tag.is_empty()).then(|| Value::Text(tag.into()))
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text.parse().ok().filter(|_| !text.starts_with('+')),
    }
}

/// An address, alone or with the length of a prefix.
#[must_use]
pub fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let ip: IpAddr = address.parse().ok()?;
    let width = if ip.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
        Some(_) => return None,
        None => width,
    };
    (prefix <= width).then_some((ip, prefix))
}
