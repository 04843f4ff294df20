//! Names that answers of DNS gave, as a file between two runs: a header and one pair a line, as
//! comma-separated values. What is read back is believed no more than an answer that passes by.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::{MAX_NAMES, Names};

/// The first line of the file.
const HEADER: &str = "\"host\",\"address\"";

/// Octets of a file that are read: as many as the longest names and addresses could take.
pub const MAX_FILE: usize = MAX_NAMES * 320;

/// The names of addresses for which `wanted` holds, those last that were learnt last.
#[must_use]
pub fn write(names: &Names, wanted: impl Fn(IpAddr) -> bool) -> Vec<u8> {
    let mut text = String::from(HEADER);
    text.push('\n');
    for (address, name) in names.hints().filter(|(address, _)| wanted(*address)) {
        // Names of hosts with quotes in them exist in attacks alone.
        if !name.contains('"') {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\"{name}\",\"{address}\"");
        }
    }
    text.into_bytes()
}

/// Learns what a file says of addresses for which `wanted` holds; how many names that were.
pub fn read(names: &mut Names, bytes: &[u8], wanted: impl Fn(IpAddr) -> bool) -> usize {
    let Ok(text) = str::from_utf8(bytes.get(..MAX_FILE).unwrap_or(bytes)) else { return 0 };
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return 0;
    }
    let pair = |line: &str| {
        let (name, address) = line.strip_prefix('"')?.strip_suffix('"')?.split_once("\",\"")?;
        Some((address.parse::<IpAddr>().ok()?, name.to_owned()))
    };
    let pairs = lines.take(MAX_NAMES).filter_map(pair);
    let pairs = pairs.filter(|(address, _)| wanted(*address));
    pairs.filter(|(address, name)| names.learn(*address, name)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::names::Source;

    #[test]
    fn what_was_saved_is_known_again() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut names = Names::default();
        names.learn(ip("192.0.2.1"), "one.example");
        names.learn(ip("2001:db8::1"), "six.example");
        names.learn(ip("10.0.0.1"), "near.example");
        names.learn_from(ip("192.0.2.2"), "written-down", Source::Hosts);
        let far = |address: IpAddr| address != ip("10.0.0.1");
        let bytes = write(&names, far);
        let mut again = Names::default();
        assert_eq!(read(&mut again, &bytes, far), 2);
        assert_eq!(again.hint(ip("192.0.2.1")), Some("one.example"));
        assert_eq!(again.hint(ip("2001:db8::1")), Some("six.example"));
        assert_eq!(read(&mut Names::default(), &bytes, |_| false), 0);
    }

    #[test]
    fn a_file_of_somebody_else_teaches_nothing_bad() {
        let read = |text: &[u8]| {
            let mut names = Names::default();
            let count = read(&mut names, text, |_| true);
            assert_eq!(count, names.len());
            count
        };
        assert_eq!(read(b""), 0);
        assert_eq!(read(b"\xff\xfe"), 0);
        assert_eq!(read(b"\"a.example\",\"192.0.2.1\"\n"), 0);
        let bad = "\"host\",\"address\"\n\"a\x1b[2J\",\"192.0.2.1\"\n\"b\",\"nowhere\"\n\"c\n,,\n\
            \"\",\"192.0.2.2\"\n\"d.example\",\"127.0.0.1\"\n\"e.example\",\"192.0.2.5\"\n";
        assert_eq!(read(bad.as_bytes()), 1);
        let mut long = String::from("\"host\",\"address\"\n");
        for n in 0..MAX_NAMES * 2 {
            let _ = writeln!(long, "\"n{n}.example\",\"192.0.{}.{}\"", n / 200 % 200, n % 200 + 1);
        }
        assert!(read(long.as_bytes()) <= MAX_NAMES);
    }
}
