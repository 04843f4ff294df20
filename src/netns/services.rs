//! Names of ports: those of the system (services(5)), then the common ones.

use std::collections::HashMap;

use super::name_of;
use crate::filter::names;

/// Lines of the system's table that are taken.
const MAX_LINES: usize = 4_096;

/// The names.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// By port and whether it is one of TCP.
    of_system: HashMap<(u16, bool), Box<str>>,
}

impl Services {
    /// Takes in the contents of the system's table.
    #[must_use]
    pub fn parse(file: &[u8]) -> Self {
        let mut of_system = HashMap::new();
        for line in file.split(|b| *b == b'\n').take(MAX_LINES) {
            let end = line.iter().position(|b| *b == b'#').unwrap_or(line.len());
            let line = String::from_utf8_lossy(line.get(..end).unwrap_or_default());
            let mut words = line.split_ascii_whitespace();
            let (Some(name), Some((port, over))) =
                (words.next(), words.next().and_then(|word| word.split_once('/')))
            else {
                continue;
            };
            let Ok(port) = port.parse() else { continue };
            if matches!(over, "tcp" | "udp") {
                of_system.entry((port, over == "tcp")).or_insert_with(|| name_of(name.as_bytes()));
            }
        }
        Self { of_system }
    }

    /// The name of a port; empty for none.
    #[must_use]
    pub fn name(&self, port: u16, over_tcp: bool) -> &str {
        let known = self.of_system.get(&(port, over_tcp)).map(|name| &**name);
        known.or_else(|| names::service_of(port, over_tcp)).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_names_come_before_the_common_ones() {
        let found = Services::parse(b"dhcps 67/udp bootps # x\nbad x/tcp\nalso\n\xff 9/tcp\n");
        assert_eq!(found.name(67, false), "dhcps");
        assert_eq!(found.name(67, true), "");
        assert_eq!(found.name(22, true), "ssh");
        assert_eq!(found.name(9, true), "\u{fffd}");
        assert_eq!(Services::default().name(68, false), "bootpc");
    }
}
