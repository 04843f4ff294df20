//! Which flows a caller wants, in the words of the caller: names are looked up when the command
//! runs, not when it is read.

use std::net::IpAddr;

use crate::wire::{mac, proto};

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
}

impl Selection {
    /// Adds the condition `name=value`; a name that is no condition is passed over.
    ///
    /// # Errors
    /// The condition's name and what its value should be.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), (&'static str, &'static str)> {
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
        assert_eq!(s.set("port", "70000").unwrap_err().0, "port");
        assert_eq!(s.set("host", "10.0.0.0/33").unwrap_err().0, "host");
        assert!(s.set("colour", "red").is_ok());
    }
}
