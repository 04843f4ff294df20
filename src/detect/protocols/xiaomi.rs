//! Xiaomi: miIO of its things has a mark and the length of the whole; messages to its telephones a
//! mark, version, length and protobuf.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::XIAOMI, &[54321], dissect);

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if view.is_udp() {
        let found = view.starts(&[0x21, 0x31]) && view.is_counted16(2, 0) && view.len >= 32;
        return Verdict::when(found, Protocol::XIAOMI);
    }
    let Some([0xc2, 0xfe, 0, 1..=9]) = view.at(0) else {
        let begun =
            view.is_short(4) && [0xc2, 0xfe].starts_with(view.data.get(..2).unwrap_or(view.data));
        return if begun { Verdict::Wait } else { Verdict::No };
    };
    // The host that is spoken to is the first text of the first message.
    let mut cursor = Cursor::new(view.data.get(18..).unwrap_or_default());
    if cursor.u8() == Some(0x1a) {
        facts.put(Fact::Host, cursor.counted8().unwrap_or_default());
    }
    Verdict::Is(Protocol::XIAOMI)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn things_and_telephones() {
        assert_eq!(of(54_321, &format!("21310020{}", "ff".repeat(28))), Protocol::XIAOMI);
        let hello = hex("c2fe0005 000000d5 000200160000 00b70800 1a0a7869616f6d692e636f6d 2a04");
        let talk = Talk::tcp(5222).client(&hello);
        assert_eq!(talk.protocol(), Protocol::XIAOMI);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("xiaomi.com"));
        talk.survives();
    }
}
