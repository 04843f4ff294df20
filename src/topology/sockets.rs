//! The sockets of this machine and the processes that have them, as the host's node lists them.
//! Reads the lines of `/proc/net/tcp` and its like (proc_net_tcp.rst of the kernel's documents);
//! which process has a socket is found by whoever walks `/proc`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::value::{Map, Value};

/// Sockets that are listed; further ones are left out and counted.
pub const MAX_SOCKETS: usize = 1_024;

/// One socket.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Socket {
    /// `TCP` or `UDP`.
    pub protocol: &'static str,
    /// The near end.
    pub local: (IpAddr, u16),
    /// The far end, zeroes without one.
    pub remote: (IpAddr, u16),
    /// The kernel's number of its state.
    pub state: u8,
    /// What tells it from others; 0 once no process has it.
    pub inode: u64,
}

/// Who has a socket.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The path of its program.
    pub path: String,
    /// What it calls itself.
    pub name: String,
}

impl Socket {
    /// Reads one line of a table; `None` for its head and for what is no such line.
    #[must_use]
    pub fn parse(line: &str, protocol: &'static str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|number| number.ends_with(':'))?;
        let (local, remote) = (end(words.next()?)?, end(words.next()?)?);
        let state = u8::from_str_radix(words.next()?, 16).ok()?;
        // Queues, timer, retransmissions, user, time-out.
        let inode = words.nth(5)?.parse().ok()?;
        Some(Self { protocol, local, remote, state, inode })
    }

    fn describe(&self, owner: Option<&Process>) -> Value {
        let mut map = Map::new()
            .with("LocalAddress", self.local.0.to_string())
            .with("LocalPort", self.local.1)
            .with("Protocol", self.protocol)
            .with("RemoteAddress", self.remote.0.to_string())
            .with("RemotePort", self.remote.1)
            .with("State", state(self.state));
        if let Some(owner) = owner {
            map.set("Name", owner.name.as_str());
            map.set("Pid", owner.pid);
            map.set("Process", owner.path.as_str());
        }
        map.into()
    }
}

/// The list as clients know it.
#[must_use]
pub fn describe(sockets: &mut [Socket], owners: &HashMap<u64, Process>) -> Vec<Value> {
    sockets.sort_unstable();
    sockets.iter().map(|socket| socket.describe(owners.get(&socket.inode))).collect()
}

/// The number of the socket that a descriptor in `/proc/PID/fd` leads to.
#[must_use]
pub fn inode_of(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Address and port in hexadecimal digits; the address in words of the machine's byte order.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| {
        let digits = address.get(at..at.checked_add(8)?)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let address = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?).into()
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

/// TCP_ of net/tcp_states.h; UDP uses two of them.
const fn state(number: u8) -> &'static str {
    match number {
        1 => "ESTABLISHED",
        2 => "SYN_SENT",
        3 | 12 => "SYN_RECV",
        4 => "FIN_WAIT1",
        5 => "FIN_WAIT2",
        6 => "TIME_WAIT",
        7 => "CLOSE",
        8 => "CLOSE_WAIT",
        9 => "LAST_ACK",
        10 => "LISTEN",
        11 => "CLOSING",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_the_kernels_tables_are_read() {
        let line = "   0: 0100007F:1F92 0200000A:D431 01 00000000:00000000 00:00000000 00000000  \
                    1000        0 20371 1 0000000000000000 100 0 0 10 0";
        let socket = Socket::parse(line, "TCP").unwrap();
        assert_eq!(socket.local, ("127.0.0.1".parse().unwrap(), 8_082));
        assert_eq!(socket.remote, ("10.0.0.2".parse().unwrap(), 54_321));
        assert_eq!((socket.state, socket.inode), (1, 20_371));
        let line = "  12: 00000000000000000000000001000000:0050 \
                    00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 \
                    0 0 7 1 0 100 0 0 10 0";
        let other = Socket::parse(line, "TCP").unwrap();
        assert_eq!(other.local, ("::1".parse().unwrap(), 80));
        let path = "/usr/sbin/uhttpd".to_owned();
        let owner = Process { pid: 7, path, name: "uhttpd".to_owned() };
        let list = describe(&mut [other, socket], &HashMap::from([(7, owner)]));
        let mut out = Vec::new();
        Value::from(list).write(&mut out);
        let found: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!([
            {"LocalAddress": "127.0.0.1", "LocalPort": 8082, "RemoteAddress": "10.0.0.2",
             "RemotePort": 54321, "Protocol": "TCP", "State": "ESTABLISHED"},
            {"LocalAddress": "::1", "LocalPort": 80, "RemoteAddress": "::", "RemotePort": 0,
             "Protocol": "TCP", "State": "LISTEN", "Pid": 7, "Name": "uhttpd",
             "Process": "/usr/sbin/uhttpd"},
        ]);
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_such_line_is_left_out() {
        for line in [
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt",
            "0: 0100007F:1F92 0200000A:D431 01",
            "0: 0100007F 0200000A:D431 01 0:0 0:0 0 0 0 1",
            "0: \u{fc}100007F:1F92 0200000A:D431 01 0:0 0:0 0 0 0 1",
            "",
        ] {
            assert_eq!(Socket::parse(line, "TCP"), None, "{line}");
        }
        assert_eq!((inode_of("socket:[12]"), inode_of("pipe:[12]")), (Some(12), None));
    }
}
