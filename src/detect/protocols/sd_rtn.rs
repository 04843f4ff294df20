//! Agora's SD-RTN: numbers of both ends, then tags with values as in Google's early QUIC.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::SD_RTN, &[8130], dissect);

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some([0, 0x20..=0x2f, ..]) = view.at::<8>(5) else { return Verdict::No };
    let mut cursor = Cursor::new(view.data.get(13..).unwrap_or_default());
    let Some(tag) = cursor.array::<4>() else { return Verdict::No };
    let found = matches!(&tag, b"SNI\0" | b"PEID" | b"PDMD" | b"PROF" | b"CPTH");
    if found && tag == *b"SNI\0" {
        let len = cursor.u16_le().map_or(0, usize::from);
        facts.put(Fact::Host, cursor.take(len).unwrap_or_default());
    }
    Verdict::when(found, Protocol::SD_RTN)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn agora_names_its_server() {
        let mut hello = hex("008bdf70000021000000000004");
        hello.extend(b"SNI\0\x0e\0edge.agora.exaPDMD\0\0");
        let talk = Talk::udp(8130).client(&hello);
        assert_eq!(talk.protocol(), Protocol::SD_RTN);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("edge.agora.exa"));
        talk.survives();
    }
}
