//! How many sockets of each kind a namespace has, from `/proc/net/sockstat` and `sockstat6`.

/// Whether the counts say that a table (`tcp`, `tcp6`, `udp` or `udp6`) is empty. What they do not
/// tell of may have something in it.
#[must_use]
pub fn is_without(counts: &[u8], table: &str) -> bool {
    // Connections that wait for their end are counted once, whichever table they are in.
    let waiting = if table == "tcp6" { count(counts, "tcp", b"tw") } else { Some(false) };
    let own = count(counts, table, b"tw").unwrap_or(false);
    count(counts, table, b"inuse") == Some(false) && !own && waiting == Some(false)
}

/// Whether a count is above zero; `None` if it is not there.
fn count(counts: &[u8], table: &str, wanted: &[u8]) -> Option<bool> {
    let line = counts.split(|b| *b == b'\n').find_map(|line| {
        let (name, rest) = line.split_at_checked(table.len())?;
        let rest = rest.strip_prefix(b": ")?;
        name.eq_ignore_ascii_case(table.as_bytes()).then_some(rest)
    })?;
    let mut words = line.split(|b| *b == b' ');
    words.find(|word| *word == wanted)?;
    Some(words.next()? != b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_empty_if_nothing_is_in_use_and_nothing_waits_for_its_end() {
        let counts = b"sockets: used 9\nTCP: inuse 0 orphan 0 tw 0 alloc 7 mem 1\n\
            UDP: inuse 2 mem 0\nUDPLITE: inuse 0\nTCP6: inuse 0\nUDP6: inuse 0\n";
        let without = |table| is_without(counts, table);
        assert!(without("tcp") && without("tcp6") && without("udp6") && !without("udp"));
        let waiting = b"TCP: inuse 0 orphan 0 tw 3 alloc 7 mem 1\n";
        assert!(!is_without(waiting, "tcp"));
        let six = [&waiting[..], b"TCP6: inuse 0\n"].concat();
        assert!(!is_without(&six, "tcp6"));
        for noise in [&b""[..], b"TCP", b"\xff:\n", b"TCPX: inuse 0\n"] {
            assert!(!is_without(noise, "tcp"));
        }
    }
}
