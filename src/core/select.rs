//! Which flows a caller wants, in the words of the caller: names are looked up when the command
//! runs, not when it is read.

use std::net::IpAddr;
use std::rc::Rc;

use crate::expression::Expression;
use crate::flow::Query;
use crate::wire::{mac, proto};

use super::command::{Failure, is_on};

/// Conditions on a flow; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Seen on the interface of this name.
    pub dev: Option<String>,
    /// IP protocol number.
    pub proto: Option<u8>,
    /// Either end is this address or in this network.
    pub host: Option<(IpAddr, u8)>,
    /// Either end has this port.
    pub port: Option<u16>,
    /// Either end has this hardware address.
    pub mac: Option<[u8; 6]>,
    /// Is in the state of this name.
    pub state: Option<String>,
    /// This is true of it.
    pub expression: Option<Rc<Expression>>,
    /// The processes of this machine that flows belong to are wanted with them.
    pub process: bool,
}

/// The same in the terms of the flow table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// What is quickly looked at.
    pub query: Query,
    /// What must be true besides.
    pub expression: Option<Rc<Expression>>,
}

impl Filter {
    /// What no flow passes.
    #[must_use]
    pub fn nothing() -> Self {
        Self { query: Query { version: Some(0), ..Query::default() }, expression: None }
    }
}

/// Names of the argument that is an expression.
pub const EXPRESSIONS: [&str; 2] = ["where", "filter"];

impl Selection {
    /// Adds the condition `name=value`; a name that is no condition is passed over.
    ///
    /// # Errors
    /// [`Failure::BadArgument`] with what the value should be, or [`Failure::Expression`] with the
    /// place of the mistake.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        self.condition(name, value)
            .map_err(|(name, expected)| Failure::BadArgument { name, expected })?;
        if EXPRESSIONS.contains(&name) {
            let expression = Expression::parse(value);
            let expression =
                expression.map_err(|error| Failure::Expression(format!("{name}: {error}")))?;
            self.expression = Some(Rc::new(expression));
        }
        Ok(())
    }

    fn condition(&mut self, name: &str, value: &str) -> Result<(), (&'static str, &'static str)> {
        match name {
            "dev" => self.dev = Some(value.to_owned()),
            "proto" => {
                let bad = ("proto", "a protocol name or number");
                self.proto = Some(proto::parse(value).ok_or(bad)?);
            }
            "host" | "ip" => {
                let bad = ("host", "an IP address or network");
                self.host = Some(network(value).ok_or(bad)?);
            }
            "port" => {
                self.port = Some(value.parse().map_err(|_| ("port", "a port from 0 to 65535"))?);
            }
            "mac" => {
                self.mac = Some(mac::parse(value).ok_or(("mac", "a hardware address"))?);
            }
            "process" => self.process = is_on(value),
            "state" => self.state = Some(value.to_owned()),
            _ => {}
        }
        Ok(())
    }
}

/// Reads `address` or `address/length`.
#[must_use]
pub fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        Some(length) => length.parse().ok().filter(|l| *l <= most)?,
        None => most,
    };
    Some((address, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_names_its_condition() {
        let mut s = Selection::default();
        assert!(s.set("host", "10.0.0.0/8").is_ok() && s.set("proto", "TCP").is_ok());
        assert_eq!(s.proto, Some(6));
        let wrong = |failure| match failure {
            Err(Failure::BadArgument { name, .. }) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(wrong(s.set("port", "70000")), "port");
        assert_eq!(wrong(s.set("host", "10.0.0.0/33")), "host");
        assert!(s.set("colour", "red").is_ok());
    }

    #[test]
    fn an_expression_is_refused_with_its_place() {
        let mut s = Selection::default();
        let failure = s.set("where", "app == x && port == http").unwrap_err();
        let Failure::Expression(text) = failure else { panic!("{failure:?}") };
        assert_eq!(text, "where: port is a number, not \"http\" at column 21");
        assert!(s.expression.is_none());
        s.set("filter", "app == x").unwrap();
        assert_eq!(s.expression.unwrap().text(), "app == x");
    }
}
