//! From words to steps: parentheses, parameters and predicates. What a step does with its
//! parameters is left to [`super::step`].

use std::fmt;
use std::rc::Rc;

use crate::text::{Quoted, decimal};
use crate::wire::json;

use super::lex::{Kind, Lexer, Token, unescape};
use super::predicate::{Filter, Literal, Pattern, Term, Test, network};
use super::step::{self, Shape, Step, What};
use super::subject::Key;
use super::{Error, MAX_TEXT};

/// The most steps of a query.
pub const MAX_STEPS: usize = 64;

/// How deep parentheses may nest.
pub const MAX_DEPTH: usize = 8;

/// A parameter and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Param {
    pub at: usize,
    pub value: Value,
}

/// What can stand as a parameter.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Asc,
    Desc,
    Float(f64),
    Forever,
    Literal(Literal),
    Metadata(Rc<[Term]>),
    Now,
    Test(Test),
}

/// Reads a query.
pub(super) fn query(text: &str) -> Result<Vec<Step>, Error> {
    if text.len() > MAX_TEXT {
        return Err(Error::syntax(MAX_TEXT, format!("Query longer than {MAX_TEXT} octets")));
    }
    let mut lexer = Lexer::new(text);
    let first = lexer.next();
    if first.kind != Kind::Name || !first.text.eq_ignore_ascii_case("G") {
        let message = format!("found {}, expected `G`", Quoted(first.text));
        return Err(Error::syntax(first.at, message));
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut shape = Shape::Graph;
    let mut registered: Vec<Rc<str>> = Vec::new();
    loop {
        let dot = lexer.next();
        match dot.kind {
            Kind::End => break,
            Kind::Dot => {}
            _ => {
                let message = format!("found {}, expected `.`", Quoted(dot.text));
                return Err(Error::syntax(dot.at, message));
            }
        }
        let name = lexer.next();
        if name.kind != Kind::Name {
            return Err(unexpected_step(name));
        }
        if steps.len() >= MAX_STEPS {
            return Err(Error::syntax(name.at, format!("More than {MAX_STEPS} steps")));
        }
        let known = step::name(name.text).ok_or_else(|| unexpected_step(name))?;
        let params = if known == "G" { Vec::new() } else { params(&mut lexer, 1)? };
        let what = step::build(known, name.at, &params, shape)?;
        match &what {
            What::As(key) => registered.push(Rc::clone(key)),
            What::Select(keys) => {
                if let Some(key) = keys.iter().find(|key| !registered.contains(key)) {
                    let message =
                        format!("Key {key} not registered. Need to be registered using 'As' step");
                    return Err(Error::execution(name.at, message));
                }
            }
            _ => {}
        }
        let searches = matches!(what, What::Flows);
        shape = what.shape(shape);
        steps.push(Step { at: name.at, name: known, what });
        if searches {
            steps.extend(step::flows_filter(name.at, &params)?);
        }
    }
    step::fold(&mut steps);
    Ok(steps)
}

fn unexpected_step(token: Token<'_>) -> Error {
    Error::syntax(token.at, format!("Expected step function, got: {}", said(token)))
}

/// A word, for errors.
const fn said(token: Token<'_>) -> &str {
    match token.kind {
        Kind::End => "end of query",
        _ => token.text,
    }
}

/// Parameters in parentheses; the opening one is next.
fn params(lexer: &mut Lexer<'_>, depth: usize) -> Result<Vec<Param>, Error> {
    let open = lexer.next();
    if open.kind != Kind::Open {
        let message = format!("Expected left parenthesis, got: {}", said(open));
        return Err(Error::syntax(open.at, message));
    }
    if depth > MAX_DEPTH {
        return Err(Error::syntax(open.at, format!("Nested more than {MAX_DEPTH} deep")));
    }
    let mut params = Vec::new();
    loop {
        let token = lexer.next();
        let value = match token.kind {
            Kind::Close => return Ok(params),
            Kind::Comma => continue,
            Kind::End => return Err(Error::syntax(token.at, "Expected right parenthesis")),
            Kind::Number => number(token)?,
            Kind::Text => Value::Literal(Literal::Text(unescape(token.text).into())),
            Kind::Name => named(token, lexer, depth)?,
            Kind::Dot | Kind::Illegal | Kind::Open => return Err(unexpected(token)),
        };
        params.push(Param { at: token.at, value });
    }
}

fn unexpected(token: Token<'_>) -> Error {
    let message = format!("Unexpected token while parsing parameters, got: {}", token.text);
    Error::syntax(token.at, message)
}

fn number(token: Token<'_>) -> Result<Value, Error> {
    if let Ok(number) = token.text.parse() {
        return Ok(Value::Literal(Literal::Int(number)));
    }
    decimal(token.text).map(Value::Float).ok_or_else(|| {
        Error::syntax(token.at, format!("Expected number token, got: {}", token.text))
    })
}

/// A word among parameters: a constant, or a predicate with parameters of its own.
fn named(token: Token<'_>, lexer: &mut Lexer<'_>, depth: usize) -> Result<Value, Error> {
    let name = token.text.to_ascii_uppercase();
    match name.as_str() {
        "ASC" => return Ok(Value::Asc),
        "DESC" => return Ok(Value::Desc),
        "FALSE" => return Ok(Value::Literal(Literal::Bool(false))),
        "FOREVER" => return Ok(Value::Forever),
        "NOW" => return Ok(Value::Now),
        "TRUE" => return Ok(Value::Literal(Literal::Bool(true))),
        "BETWEEN" | "GT" | "GTE" | "INSIDE" | "IPV4RANGE" | "LT" | "LTE" | "METADATA" | "NE"
        | "NEE" | "OUTSIDE" | "REGEX" | "WITHIN" | "WITHOUT" => {}
        _ => return Err(unexpected(token)),
    }
    let params = params(lexer, depth.saturating_add(1))?;
    let count = |word: &str, count: usize| {
        if params.len() == count {
            return Ok(());
        }
        let message = format!("{word} expected with {name}: {}", List(&params));
        Err(Error::syntax(token.at, message))
    };
    let bound = |param: &Param, name: &str| {
        whole(&param.value).ok_or_else(|| {
            Error::syntax(param.at, format!("{name} values should be of int64 type"))
        })
    };
    let one = || count("One parameter", 1).map(|()| params.first());
    let two = || count("Two parameters", 2).map(|()| (params.first(), params.get(1)));
    let single = |test: fn(i64) -> Test| {
        let param = one()?.map(|param| bound(param, &name)).transpose()?;
        Ok(Value::Test(test(param.unwrap_or(0))))
    };
    let pair = |spelled: &str, test: fn(i64, i64) -> Test| {
        let (low, high) = two()?;
        let low = low.map(|param| bound(param, spelled)).transpose()?;
        let high = high.map(|param| bound(param, spelled)).transpose()?;
        Ok(Value::Test(test(low.unwrap_or(0), high.unwrap_or(0))))
    };
    let equal = |test: fn(Literal) -> Test| {
        let wrong = |at| {
            let message = format!("{name} values should be a string, a number or a boolean");
            Error::syntax(at, message)
        };
        let param = one()?.ok_or_else(|| wrong(token.at))?;
        let literal = literal(&param.value).ok_or_else(|| wrong(param.at))?;
        Ok(Value::Test(test(literal)))
    };
    match name.as_str() {
        "BETWEEN" => pair("Between", Test::Between),
        "INSIDE" => pair("Inside", Test::Inside),
        "OUTSIDE" => pair("Outside", Test::Outside),
        "GT" => single(Test::Greater),
        "GTE" => single(Test::GreaterOrEqual),
        "LT" => single(Test::Less),
        "LTE" => single(Test::LessOrEqual),
        "NE" => equal(Test::Not),
        "NEE" => equal(Test::NotIs),
        "METADATA" => Ok(Value::Metadata(pairs(&params, token.at)?.into())),
        "IPV4RANGE" => {
            let param = one()?;
            let Some(text) = param.and_then(|param| param.value.text()) else {
                return Err(Error::syntax(token.at, "Ipv4Range value has to be a string"));
            };
            let (network, mask) = network(text).ok_or_else(|| {
                let at = param.map_or(token.at, |param| param.at);
                Error::syntax(at, format!("invalid CIDR address: {text}"))
            })?;
            Ok(Value::Test(Test::Range4(network, mask)))
        }
        "REGEX" => {
            let param = one()?;
            let Some(text) = param.and_then(|param| param.value.text()) else {
                let message = "REGEX predicate expects a string as parameter";
                return Err(Error::syntax(token.at, message));
            };
            let at = param.map_or(token.at, |param| param.at);
            let pattern = Pattern::new(text).map_err(|message| Error::syntax(at, message))?;
            Ok(Value::Test(Test::Pattern(Rc::new(pattern))))
        }
        _ => {
            let literals = params.iter().map(|param| {
                literal(&param.value).ok_or_else(|| {
                    let message = format!("{name} values should be strings or numbers");
                    Error::syntax(param.at, message)
                })
            });
            let literals: Rc<[Literal]> = literals.collect::<Result<_, _>>()?;
            let within = name == "WITHIN";
            Ok(Value::Test(if within { Test::Within(literals) } else { Test::Without(literals) }))
        }
    }
}

/// What a value is equal to; a fraction is cut off, as integers are all there is.
fn literal(value: &Value) -> Option<Literal> {
    match value {
        Value::Literal(literal) => Some(literal.clone()),
        // A float becomes the nearest end of the range where it is beyond it.
        Value::Float(number) => Some(Literal::Int(*number as i64)),
        _ => None,
    }
}

/// A bound of a comparison; texts of digits are taken too.
fn whole(value: &Value) -> Option<i64> {
    match literal(value)? {
        Literal::Bool(value) => Some(value.into()),
        Literal::Int(number) => Some(number),
        Literal::Text(text) => text.parse().ok(),
    }
}

/// Keys and what they must be.
pub(super) fn pairs(params: &[Param], at: usize) -> Result<Vec<Term>, Error> {
    let (pairs, rest) = params.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::syntax(at, "params should be a list of key,value"));
    }
    let term = |[key, value]: &[Param; 2]| {
        let Some(text) = key.value.text() else {
            return Err(Error::syntax(key.at, "keys should be of string type"));
        };
        let test = match &value.value {
            Value::Test(test) => test.clone(),
            other => literal(other).map(Test::Is).ok_or_else(|| {
                let message = format!("{text} cannot be compared with {other}");
                Error::syntax(value.at, message)
            })?,
        };
        Ok(Term { key: Key::new(text), other: None, test })
    };
    pairs.iter().map(term).collect()
}

/// A filter as `Has` and its kin take it: a single key must be there, pairs must hold.
pub(super) fn filter(params: &[Param], at: usize, either: bool) -> Result<Filter, Error> {
    if let [key] = params {
        let Some(text) = key.value.text() else {
            return Err(Error::syntax(key.at, "Key must be a string"));
        };
        return Ok(Filter::one(text, Test::Present));
    }
    Ok(Filter { terms: pairs(params, at)?.into(), either })
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Literal(Literal::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) const fn int(&self) -> Option<i64> {
        match self {
            Self::Literal(Literal::Int(number)) => Some(*number),
            _ => None,
        }
    }
}

/// Parameters as Go prints a list of them.
pub(super) struct List<'a>(pub &'a [Param]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (at, param) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{}", param.value)?;
        }
        f.write_str("]")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asc => f.write_str("ASC"),
            Self::Desc => f.write_str("DESC"),
            Self::Float(number) => {
                let mut text = Vec::new();
                json::float(&mut text, *number);
                let text = text.strip_suffix(b".0").unwrap_or(&text);
                f.write_str(std::str::from_utf8(text).unwrap_or_default())
            }
            Self::Forever => f.write_str("FOREVER"),
            Self::Literal(Literal::Bool(value)) => write!(f, "{value}"),
            Self::Literal(Literal::Int(number)) => write!(f, "{number}"),
            Self::Literal(Literal::Text(text)) => f.write_str(text),
            Self::Metadata(_) => f.write_str("METADATA"),
            Self::Now => f.write_str("NOW"),
            Self::Test(_) => f.write_str("predicate"),
        }
    }
}
