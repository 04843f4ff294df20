//! Monitoring and logs: collectd (its binary protocol), Munin (node protocol), Checkmk (agent),
//! Zabbix (ZBXD header), NRPE (2 to 4), StatsD, Graphite (plaintext), GELF, RELP, Lumberjack
//! (Beats), Ganglia (gmond XDR), Network UPS Tools.

use super::messaging::is_word;
use crate::detect::cursor::Cursor;
use crate::detect::text::{Start, find_within, is_printable, leading_number, start_of};
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const COLLECTD: Dissector = Dissector::udp(Protocol::COLLECTD, &[25_826], collectd);

pub(super) const MUNIN: Dissector = Dissector::tcp(Protocol::MUNIN, &[4949], munin);

pub(super) const CHECKMK: Dissector = Dissector::tcp(Protocol::CHECKMK, &[6556], |view, _| {
    view.opens(b"<<<check_mk>>>", Protocol::CHECKMK)
});

pub(super) const ZABBIX: Dissector =
    Dissector::tcp(Protocol::ZABBIX, &[10_050, 10_051], |view, _| {
        view.judge(Protocol::ZABBIX, is_zabbix(view.data))
    });

pub(super) const NRPE: Dissector = Dissector::tcp(Protocol::NRPE, &[5666], |view, _| {
    view.judge(Protocol::NRPE, is_nrpe(view.data))
});

pub(super) const STATSD: Dissector = Dissector::udp(Protocol::STATSD, &[8125], |view, _| {
    view.judge(Protocol::STATSD, is_statsd(view.data))
});

pub(super) const GRAPHITE: Dissector = Dissector::both(Protocol::GRAPHITE, &[2003], |view, _| {
    view.judge(Protocol::GRAPHITE, is_graphite(view.data))
});

pub(super) const GELF: Dissector = Dissector::udp(Protocol::GELF, &[12_201], |view, _| {
    let packed =
        view.has_port(12_201) && matches!(view.data, [0x1f, 0x8b, 8, ..] | [0x78, 0x9c, ..]);
    view.judge(Protocol::GELF, Some(packed || is_gelf(view.data)))
});

pub(super) const RELP: Dissector =
    Dissector::tcp(Protocol::RELP, &[2514], |view, _| {
        match start_of(view.data, &[b"1 open ", b"1 rsp "]) {
            Start::Whole => Verdict::Is(Protocol::RELP),
            Start::Part => Verdict::Wait,
            Start::No => Verdict::No,
        }
    });

pub(super) const LUMBERJACK: Dissector =
    Dissector::tcp(Protocol::LUMBERJACK, &[5044], |view, _| {
        view.judge(Protocol::LUMBERJACK, is_lumberjack(view.data))
    });

pub(super) const GANGLIA: Dissector = Dissector::udp(Protocol::GANGLIA, &[8649], |view, _| {
    view.judge(Protocol::GANGLIA, is_ganglia(view.data))
});

pub(super) const NUT: Dissector = Dissector::tcp(Protocol::NUT, &[3493], |view, _| {
    view.judge(Protocol::NUT, Some(view.has_port(3493) && is_nut(view.data)))
})
.bound();

/// Parts, each with type and length; the first is the host, or a signature or a cipher over all.
fn collectd(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let mut cursor = view.cursor();
    let mut parts = 0_u8;
    for _ in 0..8 {
        let (Some(kind), Some(len)) = (cursor.u16(), cursor.u16()) else { break };
        let value =
            usize::from(len).checked_sub(4).filter(|len| *len > 0).and_then(|len| cursor.take(len));
        let is_part = match (kind, value) {
            (0, Some([name @ .., 0])) if is_word(name) && parts == 0 => {
                facts.put(Fact::Host, name);
                facts.put(Fact::HostName, name);
                true
            }
            (2..=5, Some([.., 0])) => parts > 0,
            (1 | 7 | 8 | 9, Some(value)) => parts > 0 && value.len() == 8,
            (6 | 0x100 | 0x101, Some(_)) => parts > 0,
            // Sizes of what authenticates: a digest and a user; a user and a vector.
            (0x200, Some(value)) => value.len() > 32 && view.has_port(25_826),
            (0x210, Some(value)) => value.len() > 38 && view.has_port(25_826),
            _ => false,
        };
        if !is_part {
            // What follows a host and a time may be cut or damaged.
            return Verdict::when(parts > 1, Protocol::COLLECTD);
        }
        parts = parts.saturating_add(1);
    }
    let is_one = parts > 1 || (parts == 1 && cursor.is_empty() && view.has_port(25_826));
    if is_one { Verdict::Is(Protocol::COLLECTD) } else { Verdict::No }
}

/// The node greets with its name.
fn munin(view: &View<'_>, facts: &mut Facts) -> Verdict {
    const GREETING: &[u8] = b"# munin node at ";
    if view.from_client {
        // Whoever speaks first may be waiting for the greeting.
        let is_patient = view.other.is_empty() && view.has_port(4949);
        return if is_patient { Verdict::Wait } else { Verdict::No };
    }
    let Some(rest) = view.data.strip_prefix(GREETING) else {
        return view.opens(GREETING, Protocol::MUNIN);
    };
    let Some(end) = rest.iter().take(255).position(|octet| *octet == b'\n') else {
        return if rest.len() < 255 { Verdict::Wait } else { Verdict::No };
    };
    let host = rest.get(..end).unwrap_or_default();
    facts.put(Fact::Host, host);
    facts.put(Fact::HostName, host);
    Verdict::Is(Protocol::MUNIN)
}

fn is_zabbix(data: &[u8]) -> Option<bool> {
    let [z, b, x, d, flags] = Cursor::new(data).array()?;
    Some([z, b, x, d] == *b"ZBXD" && matches!(flags, 1..=7))
}

/// Version, question or answer, checksum, result; then a buffer of 1024 octets, or as long as said.
fn is_nrpe(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (version, kind) = (cursor.u16()?, cursor.u16()?);
    if !(1..=4).contains(&version) || !matches!(kind, 1..=3) {
        return Some(false);
    }
    let (_checksum, result) = (cursor.u32()?, cursor.u16()?);
    if version <= 2 {
        return Some(data.len() == 1_036 && (kind == 1 || result <= 3));
    }
    let (alignment, len) = (cursor.u16()?, cursor.u32()?);
    Some(
        alignment == 0
            && (1..=0x1_0000).contains(&len)
            && data.len() <= usize::try_from(len).ok()?.saturating_add(19),
    )
}

/// Name, value, type.
fn is_statsd(data: &[u8]) -> Option<bool> {
    let is_name = |o: &u8| o.is_ascii_alphanumeric() || b"._-/{}=;,".contains(o);
    if !data.first()?.is_ascii_alphabetic() {
        return Some(false);
    }
    let colon = data.iter().take(200).position(|octet| *octet == b':')?;
    let (name, rest) = data.split_at_checked(colon)?;
    if !name.iter().all(is_name) {
        return Some(false);
    }
    let value = rest.get(1..)?;
    let value = value.strip_prefix(b"-").or_else(|| value.strip_prefix(b"+")).unwrap_or(value);
    let (_, rest) = leading_number(value)?;
    let rest = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|octet| octet.is_ascii_digit()).count();
            fraction.get(digits..)?
        }
        _ => rest,
    };
    let (b'|', kind) = rest.split_first()? else { return Some(false) };
    let is_kind = [&b"c"[..], b"g", b"ms", b"h", b"s", b"m", b"d"].iter().any(|known| {
        kind.strip_prefix(*known)
            .is_some_and(|rest| matches!(rest, [] | [b'\n' | b'|' | b'\r', ..]))
    });
    Some(is_kind)
}

/// A path with dots, a value, a time of ten digits.
fn is_graphite(data: &[u8]) -> Option<bool> {
    if !data.first()?.is_ascii_alphabetic() {
        return Some(false);
    }
    let line = data.get(..256).unwrap_or(data);
    let Some(end) = line.iter().position(|octet| *octet == b'\n') else {
        return if line.len() < 256 && is_printable(line) { None } else { Some(false) };
    };
    // Some end lines with two octets.
    let mut words = line.get(..end)?.trim_ascii_end().split(|octet| *octet == b' ');
    let (path, value, time) =
        (words.next()?, words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_path = |o: &u8| o.is_ascii_alphanumeric() || b"._-;=:/".contains(o);
    let is_value =
        !value.is_empty() && value.iter().all(|o| o.is_ascii_digit() || b".-+eE".contains(o));
    let is_time = time.len() == 10 && time.iter().all(u8::is_ascii_digit);
    Some(
        path.contains(&b'.')
            && path.iter().all(is_path)
            && is_value
            && is_time
            && words.next().is_none(),
    )
}

/// A chunk, or a message that was not packed.
fn is_gelf(data: &[u8]) -> bool {
    match data {
        [0x1e, 0x0f, _, _, _, _, _, _, _, _, at, all, ..] => at < all && *all <= 128,
        [b'{', ..] => {
            find_within(data, b"\"short_message\"", 512).is_some()
                && find_within(data, b"\"version\"", 512).is_some()
        }
        _ => false,
    }
}

/// A version and a window, then frames.
fn is_lumberjack(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (b'1' | b'2', b'W') = (cursor.u8()?, cursor.u8()?) else { return Some(false) };
    let window = cursor.u32()?;
    let is_next = matches!(cursor.rest(), [] | [b'1' | b'2', b'C' | b'D' | b'J', ..]);
    Some((1..=0x1_0000).contains(&window) && is_next)
}

/// What is meant, then the host and the metric as counted text.
fn is_ganglia(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if !(128..=135).contains(&cursor.u32()?) {
        return Some(false);
    }
    let len = cursor.u32()?;
    let host = cursor.take(usize::try_from(len).ok()?)?;
    Some(len <= 255 && is_word(host))
}

fn is_nut(data: &[u8]) -> bool {
    const COMMANDS: [&[u8]; 8] =
        [b"LIST ", b"GET ", b"USERNAME ", b"LOGIN ", b"STARTTLS", b"VER", b"BEGIN LIST", b"OK"];
    COMMANDS.iter().any(|command| data.starts_with(command)) && data.ends_with(b"\n")
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    fn tcp(payload: &[u8]) -> Protocol {
        Talk::tcp(40_000).client(payload).protocol()
    }

    fn udp(payload: &[u8]) -> Protocol {
        Talk::udp(40_000).client(payload).protocol()
    }

    #[test]
    fn hosts_name_themselves() {
        let values =
            b"\0\0\0\x09host\0\0\x08\0\x0c\x14\xb5\x8b\xa6\x6e\xa4\x46\x9d\0\x02\0\x08cpu\0";
        Talk::udp(25_826).client(values).survives();
        let talk = Talk::udp(25_826).client(values);
        assert_eq!(talk.protocol(), Protocol::COLLECTD);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("host"));
        assert_eq!(udp(b"\0\0\0\x09ho\0t\0\0\x08\0\x0c\x14\xb5\x8b\xa6\x6e"), Protocol::UNKNOWN);
        let talk = Talk::tcp(4949).server(b"# munin node").server(b" at gw-ct\n");
        assert_eq!(talk.protocol(), Protocol::MUNIN);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("gw-ct"));
    }

    #[test]
    fn agents_and_their_servers() {
        assert_eq!(
            Talk::tcp(6556).server(b"<<<check_mk>>>\nVersion: 1").protocol(),
            Protocol::CHECKMK
        );
        assert_eq!(tcp(b"ZBXD\x01\x05\0\0\0\0\0\0\0hello"), Protocol::ZABBIX);
        let mut query = hex("0002 0001 12345678 0000");
        query.resize(1_036, 0);
        assert_eq!(tcp(&query), Protocol::NRPE);
        query.push(0);
        assert_eq!(tcp(&query), Protocol::UNKNOWN);
        assert_eq!(udp(&hex("00000080 00000004 686f7374 00000003")), Protocol::GANGLIA);
        assert_eq!(Talk::tcp(3493).client(b"LIST UPS\n").protocol(), Protocol::NUT);
    }

    #[test]
    fn metrics_in_lines() {
        assert_eq!(udp(b"app.requests:1.5|ms|@0.1"), Protocol::STATSD);
        assert_eq!(udp(b"app requests:1|ms"), Protocol::UNKNOWN);
        assert_eq!(udp(b"a:1|mx"), Protocol::UNKNOWN);
        assert_eq!(tcp(b"a.b.c 1.5 1434055562\n"), Protocol::GRAPHITE);
        assert_eq!(tcp(b"h.load.load.midterm 10.1 1795302579\r\n"), Protocol::GRAPHITE);
        assert_eq!(tcp(b"a.b.c says 1434055562\n"), Protocol::UNKNOWN);
    }

    #[test]
    fn logs_are_sent() {
        assert_eq!(udp(&hex("1e0f 0102030405060708 00 02 78 9c")), Protocol::GELF);
        assert_eq!(udp(&hex("1e0f 0102030405060708 02 02 78 9c")), Protocol::UNKNOWN);
        assert_eq!(tcp(b"1 open 85 relp_version=0\n"), Protocol::RELP);
        assert_eq!(tcp(b"2W\0\0\0\x0a2C\0\0\0\x10"), Protocol::LUMBERJACK);
        assert_eq!(tcp(b"2W\0\0\0\x0a2X\0\0\0\x10"), Protocol::UNKNOWN);
    }
}
