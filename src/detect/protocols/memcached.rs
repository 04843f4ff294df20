//! Memcached: its "Protocol" (text) and "BinaryProtocolRevamped"; Couchbase, which grew from it.

use crate::detect::cursor::Cursor;
use crate::detect::text::{is_printable, number};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::MEMCACHED, &[11_211], dissect);

/// Octets before each message over UDP.
const FRAME: usize = 8;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let mut data = view.data;
    if view.is_udp() {
        let Some([_, _, at, number, 0, total, 0, 0]) = view.at::<8>(0) else {
            return Verdict::No;
        };
        if at != 0 || number >= total {
            return Verdict::No;
        }
        data = data.get(FRAME..).unwrap_or_default();
    }
    match data.first() {
        Some(0x80 | 0x81) => {
            let is_couchbase = view.has_port(11_210) || view.has_port(11_207);
            let protocol = if is_couchbase { Protocol::COUCHBASE } else { Protocol::MEMCACHED };
            view.judge(protocol, is_binary(data))
        }
        Some(_) => view.judge(Protocol::MEMCACHED, is_line(view, data)),
        None => view.short(),
    }
}

fn is_binary(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (magic, operation, key) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
    let (extras, kind, status) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
    let body = cursor.u32()?;
    let least = u32::from(key).saturating_add(extras.into());
    let is_header = key <= 250 && extras <= 24 && kind <= 5 && least <= body && body <= 0x14_0000;
    let is_answer = magic == 0x80 || status <= 0x86;
    let is_operation = matches!(operation, 0..=0x25 | 0x30..=0x48 | 0x89 | 0xb5);
    let is_whole = usize::try_from(body).ok()? >= cursor.rest().len().saturating_sub(12);
    Some(is_header && is_answer && is_operation && is_whole)
}

/// Commands with what follows their name, and answers. To ask for something takes words that people
/// use too: elsewhere than at home an answer must show what they are.
fn is_line(view: &View<'_>, data: &[u8]) -> Option<bool> {
    const STARTS: [&[u8]; 27] = [
        b"get ",
        b"gets ",
        b"gat ",
        b"set ",
        b"add ",
        b"replace ",
        b"append ",
        b"prepend ",
        b"cas ",
        b"incr ",
        b"decr ",
        b"delete ",
        b"touch ",
        b"stats\r\n",
        b"stats ",
        b"version\r\n",
        b"flush_all",
        b"mg ",
        b"ms ",
        b"mn\r\n",
        b"VALUE ",
        b"STAT ",
        b"STORED\r\n",
        b"NOT_STORED\r\n",
        b"DELETED\r\n",
        b"VERSION 1.",
        b"END\r\n",
    ];
    if !STARTS.iter().any(|start| data.starts_with(start)) {
        let may_be = STARTS.iter().any(|start| start.starts_with(data));
        return if may_be { None } else { Some(false) };
    }
    let line = data.get(..300).unwrap_or(data);
    let Some(end) = line.iter().position(|octet| *octet == b'\n') else {
        return if data.len() < 300 && line.is_ascii() { None } else { Some(false) };
    };
    let (Some([line @ .., b'\r']), true) = (line.get(..end), is_printable_line(line, end)) else {
        return Some(false);
    };
    let mut words = line.split(|octet| *octet == b' ');
    let command = words.next()?;
    // To store takes a key, flags, an age and a length; what is found has no age.
    let numbers = match command {
        b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" => 3,
        b"VALUE" => 2,
        _ => 0,
    };
    if numbers > 0 {
        let _key = words.next()?;
        let is_number = |word: Option<&[u8]>| word.is_some_and(|word| number(word).is_some());
        return Some((0..numbers).all(|_| is_number(words.next())));
    }
    let is_plain = matches!(command, b"STAT" | b"STORED" | b"NOT_STORED" | b"DELETED" | b"VERSION");
    if is_plain || view.is_udp() || view.has_port(11_211) {
        return Some(true);
    }
    const ANSWERS: [&[u8]; 9] = [
        b"VALUE ",
        b"END\r\n",
        b"STAT ",
        b"ERROR\r\n",
        b"DELETED\r\n",
        b"NOT_FOUND\r\n",
        b"VERSION ",
        b"TOUCHED\r\n",
        b"OK\r\n",
    ];
    match view.other {
        [] => None,
        other => Some(ANSWERS.iter().any(|answer| other.starts_with(answer))),
    }
}

fn is_printable_line(line: &[u8], end: usize) -> bool {
    line.get(..end.saturating_sub(1)).is_some_and(is_printable)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn text_and_binary() {
        assert_eq!(Talk::tcp(9).client(b"set a 0 0 3\r\nabc\r\n").protocol(), Protocol::MEMCACHED);
        assert_eq!(Talk::tcp(9).client(b"set a to b\r\n").protocol(), Protocol::UNKNOWN);
        let here = Talk::tcp(11_211).client(b"sta").client(b"ts\r\n");
        assert_eq!(here.protocol(), Protocol::MEMCACHED);
        let chat = Talk::tcp(9).client(b"get it to me\r\n");
        assert_eq!(chat.protocol(), Protocol::UNKNOWN);
        assert_eq!(chat.server(b"no, you\r\n").protocol(), Protocol::UNKNOWN);
        let asked = Talk::tcp(9).client(b"get a\r\n").server(b"VALUE a 0 1\r\nb\r\nEND\r\n");
        assert_eq!(asked.protocol(), Protocol::MEMCACHED);
        assert_eq!(Talk::tcp(11_211).client(b"gat 10 a\r\n").protocol(), Protocol::MEMCACHED);
        let get = hex("80 00 0005 00 00 0000 00000005 00000000 0000000000000000 48656c6c6f");
        assert_eq!(Talk::tcp(11_211).client(&get).protocol(), Protocol::MEMCACHED);
        assert_eq!(Talk::tcp(11_210).client(&get).protocol(), Protocol::COUCHBASE);
        Talk::tcp(11_211).client(&get).survives();
        let mut other = get;
        other[11] = 4;
        assert_eq!(Talk::tcp(11_211).client(&other).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn datagrams_are_numbered() {
        let stats = b"\0\x01\0\0\0\x01\0\0stats\r\n";
        assert_eq!(Talk::udp(11_211).client(stats).protocol(), Protocol::MEMCACHED);
        assert_eq!(Talk::udp(11_211).client(&stats[8..]).protocol(), Protocol::UNKNOWN);
    }
}
