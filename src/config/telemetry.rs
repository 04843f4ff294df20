//! Where telemetry goes, as settings write it: `tcp://127.0.0.1:7150`. Addresses, not names: the
//! agent waits for nobody, a resolver included.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The port of Netify's stream where none is named.
pub const LEGACY_PORT: u16 = 7_150;

/// Targets of one setting.
pub const MAX_TARGETS: usize = 16;

/// How records are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// One JSON object a line, as agents of version 5 do.
    #[default]
    Lines,
    /// With the length before each, as agents of version 3 and 4 do.
    Legacy,
}

impl Format {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Legacy => "legacy",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Lines, Self::Legacy].into_iter().find(|format| format.name() == name)
    }
}

/// Which records are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Types {
    /// What becomes of flows: `stream-flows`.
    pub flows: bool,
    /// Figures: `stream-stats`.
    pub statistics: bool,
}

/// Names of [`Types`].
const TYPES: [&str; 2] = ["stream-flows", "stream-stats"];

impl Default for Types {
    fn default() -> Self {
        Self { flows: true, statistics: true }
    }
}

impl Types {
    /// Those of a list of names; at least one.
    pub fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut types = Self { flows: false, statistics: false };
        for word in words {
            match word {
                "stream-flows" => types.flows = true,
                "stream-stats" => types.statistics = true,
                _ => return None,
            }
        }
        (types.flows || types.statistics).then_some(types)
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = TYPES.iter().zip([self.flows, self.statistics]).filter(|(_, is)| *is);
        let mut blank = "";
        for (name, _) in named {
            write!(f, "{blank}{name}")?;
            blank = " ";
        }
        Ok(())
    }
}

/// A place that telemetry is sent to, or fetched at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// A Unix socket.
    Unix(PathBuf),
    /// An address and port of TCP.
    Tcp(SocketAddr),
    /// An address and port of UDP.
    Udp(SocketAddr),
    /// A resource of an HTTP server.
    Http {
        /// Where the server is.
        address: SocketAddr,
        /// As it is called in requests.
        host: String,
        /// The path with the query.
        path: String,
    },
}

impl Target {
    /// Reads a URL; without a port, `port` is meant, should there be one.
    #[must_use]
    pub fn parse(text: &str, port: Option<u16>) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        match scheme {
            "unix" if rest.starts_with('/') => Some(Self::Unix(PathBuf::from(rest))),
            "tcp" => address(rest.trim_end_matches('/'), port).map(Self::Tcp),
            "udp" => address(rest.trim_end_matches('/'), port).map(Self::Udp),
            "http" => {
                let (host, path) = match rest.find(['/', '?']) {
                    Some(at) => rest.split_at_checked(at)?,
                    None => (rest, ""),
                };
                let slash = if path.starts_with('/') { "" } else { "/" };
                let path = format!("{slash}{path}");
                let plain = path.bytes().all(|b| b.is_ascii_graphic());
                let address = address(host, Some(80))?;
                plain.then(|| Self::Http { address, host: host.to_owned(), path })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Http { host, path, .. } => write!(f, "http://{host}{path}"),
        }
    }
}

/// An address with a port; `localhost` is one, too.
fn address(text: &str, port: Option<u16>) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, digits)) if !host.ends_with(':') && !host.contains('[') => {
            (host, Some(digits.parse().ok()?))
        }
        _ => (text, port),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let ip = match bare {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        other => other.parse().ok()?,
    };
    Some(SocketAddr::new(ip, port?))
}

/// Reads a list of targets, several parted by blanks or commas; `off` is none. `fits` says which
/// kinds are meant.
pub fn targets(
    value: &str,
    port: Option<u16>,
    fits: impl Fn(&Target) -> bool,
) -> Option<Vec<Target>> {
    if matches!(value, "" | "off" | "no" | "none") {
        return Some(Vec::new());
    }
    let words = value.split([' ', ',', '\t']).filter(|word| !word.is_empty());
    let parse = |word: &str| {
        if word.contains("://") || port.is_none() {
            return Target::parse(word, port);
        }
        // As Netify's old configuration has them, a path or an address by itself.
        let scheme = if word.starts_with('/') { "unix" } else { "tcp" };
        Target::parse(&format!("{scheme}://{word}"), port)
    };
    let targets: Option<Vec<Target>> = words.map(|word| parse(word).filter(&fits)).collect();
    targets.filter(|targets| targets.len() <= MAX_TARGETS)
}

/// The same as text.
#[must_use]
pub fn shown(targets: &[Target]) -> String {
    if targets.is_empty() {
        return "off".to_owned();
    }
    targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_shown_as_they_were_written() {
        for text in [
            "unix:///run/a.sock",
            "tcp://127.0.0.1:7150",
            "udp://[2001:db8::1]:9000",
            "http://192.0.2.1:8080/in?key=a%20b",
            "http://[::1]/",
        ] {
            assert_eq!(Target::parse(text, None).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_port_may_be_left_out_where_there_is_a_usual_one() {
        for (text, port, expected) in [
            ("tcp://127.0.0.1", Some(7_150), Some("127.0.0.1:7150")),
            ("tcp://localhost:9", Some(7_150), Some("127.0.0.1:9")),
            ("tcp://[::1]", Some(7_150), Some("[::1]:7150")),
            ("tcp://[::1]:8", Some(7_150), Some("[::1]:8")),
            ("tcp://127.0.0.1", None, None),
            ("tcp://127.0.0.1:70000", Some(1), None),
            ("tcp://collector.lan:7150", None, None),
            ("ws://127.0.0.1:1", None, None),
            ("unix://run/a.sock", None, None),
        ] {
            let found = Target::parse(text, port);
            let address = found.map(|found| match found {
                Target::Tcp(address) => address.to_string(),
                other => other.to_string(),
            });
            assert_eq!(address.as_deref(), expected, "{text}");
        }
        let http = Target::parse("http://localhost/x", None);
        assert!(matches!(http, Some(Target::Http { address, .. }) if address.port() == 80));
        assert_eq!(Target::parse("http://127.0.0.1/a b", None), None);
    }

    #[test]
    fn types_are_named_and_at_least_one_is() {
        let parse = |text: &str| Types::parse(text.split(' ').filter(|word| !word.is_empty()));
        assert_eq!(parse("stream-stats stream-flows"), Some(Types::default()));
        assert_eq!(parse("stream-stats").unwrap().to_string(), "stream-stats");
        assert_eq!((parse(""), parse("stream-intel")), (None, None));
    }
}
