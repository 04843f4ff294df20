//! TFTP: RFC 1350, options: RFC 2347. Blocks go between ports of their own: they are known by
//! their numbers, which both ends count.

use crate::detect::cursor::Cursor;
use crate::detect::facts::Fact;
use crate::detect::view::Glimpse;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::TFTP, &[69], dissect);

/// Operations.
const READ: u8 = 1;
const WRITE: u8 = 2;
const DATA: u8 = 3;
const ACK: u8 = 4;
const ERROR: u8 = 5;
const OPTIONS: u8 = 6;

/// Octets of a block before its data.
const HEADER: usize = 4;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some([0, operation]) = view.at(0) else { return Verdict::No };
    let body = view.data.get(2..).unwrap_or_default();
    match operation {
        READ | WRITE => request(body, facts),
        DATA | ACK => block(view, operation),
        ERROR => match body {
            [0, 0..=8, text @ .., 0] if view.has_port(69) && text.is_ascii() => {
                Verdict::Is(Protocol::TFTP)
            }
            _ => Verdict::No,
        },
        OPTIONS if is_option(body) => Verdict::Is(Protocol::TFTP),
        _ => Verdict::No,
    }
}

/// A file's name and a mode.
fn request(body: &[u8], facts: &mut Facts) -> Verdict {
    let mut cursor = Cursor::new(body);
    let (Some(file), Some(mode)) = (cursor.until(0), cursor.until(0)) else { return Verdict::No };
    let modes: [&[u8]; 3] = [b"octet", b"netascii", b"mail"];
    if !modes.iter().any(|known| mode.eq_ignore_ascii_case(known)) {
        return Verdict::No;
    }
    facts.put(Fact::Url, file);
    Verdict::Is(Protocol::TFTP)
}

fn is_option(body: &[u8]) -> bool {
    let mut cursor = Cursor::new(body);
    let names: [&[u8]; 4] = [b"blksize", b"timeout", b"tsize", b"windowsize"];
    cursor.until(0).is_some_and(|name| names.iter().any(|known| name.eq_ignore_ascii_case(known)))
}

/// A block or its receipt: with the other of the same number before, or the one before it.
fn block(view: &View<'_>, operation: u8) -> Verdict {
    let fits = if operation == ACK { view.len == HEADER } else { view.len >= HEADER };
    let Some(number) = view.u16_at(2).filter(|_| fits) else { return Verdict::No };
    let Some(before) = view.past.last() else {
        let first = number <= 1 && (operation == ACK || view.len >= HEADER);
        return if first { Verdict::Wait } else { Verdict::No };
    };
    let Some((kind, earlier)) = counted(before) else { return Verdict::No };
    let same_end = before.from_client == view.from_client;
    let follows = number == earlier.wrapping_add(1);
    let is_next = match (operation, kind) {
        (ACK, DATA) => !same_end && number == earlier,
        (DATA, ACK) => !same_end && follows,
        (DATA, DATA) => same_end && follows && usize::from(before.len) >= view.len,
        (ACK, ACK) => same_end && follows,
        _ => false,
    };
    match (is_next, view.past.len()) {
        (true, 1) if view.past.first().is_some_and(|p| p.len == 4 && view.len == 4) => {
            Verdict::Wait
        }
        (true, _) => Verdict::Is(Protocol::TFTP),
        (false, _) if number == earlier && same_end => Verdict::Wait,
        _ => Verdict::No,
    }
}

fn counted(packet: &Glimpse) -> Option<(u8, u16)> {
    match packet.head {
        [0, kind @ (DATA | ACK), high, low, ..] if packet.len >= 4 => {
            Some((kind, u16::from_be_bytes([high, low])))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn requests() {
        let talk = Talk::udp(69).client(b"\0\x01boot.img\0octet\0blksize\x001428\0");
        assert_eq!(talk.protocol(), Protocol::TFTP);
        assert_eq!(talk.fact(Fact::Url).as_deref(), Some("boot.img"));
        assert_eq!(Talk::udp(69).client(b"\0\x01boot.img\0oct\0").protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn blocks_that_count() {
        let mut block = vec![0, 3, 0, 1];
        block.resize(516, 7);
        let talk = Talk::udp(40_000).client(&block).server(b"\0\x04\0\x01");
        assert_eq!(talk.protocol(), Protocol::TFTP);
        let mut second = block.clone();
        second[3] = 2;
        assert_eq!(Talk::udp(40_000).client(&block).client(&second).protocol(), Protocol::TFTP);
        let talk = Talk::udp(40_000).client(&block).server(b"\0\x04\0\x02");
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::udp(40_000).client(&block).protocol(), Protocol::UNKNOWN);
    }
}
