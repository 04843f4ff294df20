//! NetBIOS over UDP and TCP: names, datagrams and sessions (RFC 1001, RFC 1002).

use crate::detect::cursor::Cursor;
use crate::detect::facts::Fact;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const NAMES: Dissector = Dissector::udp(Protocol::NETBIOS, &[137], names);
pub(super) const DATAGRAMS: Dissector = Dissector::udp(Protocol::NETBIOS, &[138], datagrams);
pub(super) const SESSIONS: Dissector = Dissector::tcp(Protocol::NETBIOS, &[139], sessions);

/// Octets of a name: 15 and its kind.
const NAME: usize = 16;

/// Octets of an encoded name with its length before and the empty label behind.
const ENCODED: u16 = 34;

fn names(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let mut cursor = view.cursor();
    let header = (cursor.u16(), cursor.u16(), cursor.u32(), cursor.u32());
    let (Some(_), Some(flags), Some(counts), Some(more)) = header else { return Verdict::No };
    let operation = flags >> 11 & 0x0f;
    let few = |count: u32| count >> 16 <= 8 && count & 0xffff <= 8;
    let fits =
        matches!(operation, 0 | 5..=9 | 15) && flags & 0x0060 == 0 && few(counts) && few(more);
    if !fits || counts == 0 && more == 0 {
        return Verdict::No;
    }
    // On its port a damaged name is one, as far as it goes.
    let is_port = view.has_port(137);
    let Some(name) = name(&mut cursor, is_port) else { return Verdict::No };
    let (kind, class) = (cursor.u16(), cursor.u16());
    let is_usual = matches!((kind, class), (Some(0x01 | 0x02 | 0x0a | 0x20 | 0x21), Some(1)));
    if !(is_usual || is_port) {
        return Verdict::No;
    }
    put(&name, facts);
    Verdict::Is(Protocol::NETBIOS)
}

fn datagrams(view: &View<'_>, facts: &mut Facts) -> Verdict {
    // Direct unique, direct group, broadcast; error; query and its answers.
    let Some([kind @ 0x10..=0x16, flags, ..]) = view.at::<10>(0) else { return Verdict::No };
    if flags & 0xf0 != 0 || view.u16_at(8).is_none_or(|port| port == 0) {
        return Verdict::No;
    }
    let mut cursor = view.cursor();
    cursor.skip(10);
    match kind {
        0x10..=0x12 => {
            let len = cursor.u16().map(usize::from);
            cursor.skip(2);
            let (Some(len), Some(source)) = (len, name(&mut cursor, view.has_port(138))) else {
                return Verdict::No;
            };
            if len > view.len.saturating_sub(14) {
                return Verdict::No;
            }
            put(&source, facts);
        }
        0x13 if view.len == 11 && view.has_port(138) => {}
        0x14..=0x16 => match name(&mut cursor, false) {
            Some(name) => put(&name, facts),
            None => return Verdict::No,
        },
        _ => return Verdict::No,
    }
    Verdict::Is(Protocol::NETBIOS)
}

/// Requests for sessions and their answers. Messages within belong to who sends them.
fn sessions(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some([kind, 0, high, low]) = view.at(0) else {
        return if matches!(view.data, [0x81..=0x85] | [0x81..=0x85, 0, ..]) && view.len < 4 {
            Verdict::Wait
        } else {
            Verdict::No
        };
    };
    let len = u16::from_be_bytes([high, low]);
    match (kind, len) {
        (0x81, _) if len == ENCODED.saturating_mul(2) => {
            let mut cursor = view.cursor();
            cursor.skip(4);
            if view.data.len() < usize::from(len).saturating_add(4) {
                return Verdict::Wait;
            }
            match name(&mut cursor, false) {
                Some(called) => put(&called, facts),
                None => return Verdict::No,
            }
            Verdict::Is(Protocol::NETBIOS)
        }
        (0x82, 0) | (0x83, 1) | (0x84, 6) | (0x85, 0) if view.has_port(139) => {
            Verdict::Is(Protocol::NETBIOS)
        }
        _ => Verdict::No,
    }
}

/// A name in its encoding of half octets as letters; a scope may follow it. With leniency, up to
/// where it is damaged.
fn name(cursor: &mut Cursor<'_>, is_lax: bool) -> Option<[u8; NAME]> {
    if cursor.u8()? != 0x20 {
        return None;
    }
    let mut letters = Cursor::new(cursor.take(2 * NAME)?);
    let mut name = [0; NAME];
    for (at, octet) in name.iter_mut().enumerate() {
        let [high, low] = letters.array()?.map(|letter: u8| letter.wrapping_sub(b'A'));
        if high > 15 || low > 15 {
            return (is_lax && at > 1).then_some(name);
        }
        *octet = high << 4 | low;
    }
    for _ in 0..16 {
        match cursor.counted8() {
            Some([]) => return Some(name),
            Some(_) => {}
            None => break,
        }
    }
    is_lax.then_some(name)
}

fn put(name: &[u8; NAME], facts: &mut Facts) {
    let [text @ .., _kind] = name;
    let end = text.iter().position(|octet| *octet == 0).unwrap_or(text.len());
    facts.put(Fact::Host, text.get(..end).unwrap_or_default().trim_ascii_end());
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    /// WORKGROUP with its kind, encoded.
    fn name() -> Vec<u8> {
        let mut name = vec![0x20];
        for octet in b"WORKGROUP      \x1d" {
            name.extend([b'A' + (octet >> 4), b'A' + (octet & 15)]);
        }
        name.push(0);
        name
    }

    #[test]
    fn a_query_for_a_name() {
        let mut query = hex("1234 0110 0001 0000 0000 0000");
        query.extend(name());
        query.extend([0, 0x20, 0, 1]);
        let talk = Talk::udp(137).from(137).client(&query);
        assert_eq!(talk.protocol(), Protocol::NETBIOS);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("WORKGROUP"));
        for end in 0..query.len() {
            Talk::udp(137).client(&query[..end]).protocol();
        }
        query[24] = b'Z';
        assert_eq!(Talk::udp(1137).client(&query).protocol(), Protocol::UNKNOWN);
        let talk = Talk::udp(137).client(&query);
        assert_eq!(talk.protocol(), Protocol::NETBIOS);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("WORKG"));
    }

    #[test]
    fn a_datagram() {
        let mut datagram = hex("1102 1234 c0000201 008a 00bb 0000");
        datagram.extend(name());
        datagram.extend([0; 160]);
        let talk = Talk::udp(138).from(138).client(&datagram);
        assert_eq!(talk.protocol(), Protocol::NETBIOS);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("WORKGROUP"));
    }

    #[test]
    fn a_session() {
        let mut request = hex("81000044");
        request.extend(name());
        request.extend(name());
        let talk = Talk::tcp(139).client(&request[..20]).client(&request[20..]);
        assert_eq!(talk.protocol(), Protocol::NETBIOS);
        assert_eq!(Talk::tcp(139).server(&hex("82000000")).protocol(), Protocol::NETBIOS);
        assert_eq!(Talk::tcp(1390).server(&hex("82000000")).protocol(), Protocol::UNKNOWN);
    }
}
