//! IAX2: RFC 5456.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::IAX, &[4569], dissect);

/// Kind of frame: control of the protocol itself.
const CONTROL: u8 = 6;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    Verdict::when(is_frame(view).is_some(), Protocol::IAX)
}

/// A full frame of control whose information elements fill the datagram.
fn is_frame(view: &View<'_>) -> Option<()> {
    let mut cursor = view.cursor();
    let source = cursor.u16()?;
    let target = cursor.u16()?;
    let time = cursor.u32()?;
    cursor.skip(2)?;
    let [kind, code] = cursor.array()?;
    if source & 0x8000 == 0 || kind != CONTROL || !(1..=40).contains(&code) || time > 1 << 30 {
        return None;
    }
    // A new call has no number at the other end.
    if code == 1 && target & 0x7fff != 0 {
        return None;
    }
    elements(&mut cursor, view.len == view.data.len())?;
    (view.has_port(4569) || !cursor.is_empty() || view.len > 12 || view.number > 1).then_some(())
}

fn elements(cursor: &mut Cursor<'_>, whole: bool) -> Option<()> {
    for _ in 0..64 {
        if cursor.is_empty() {
            break;
        }
        let kind = cursor.u8()?;
        if kind == 0 {
            return None;
        }
        if cursor.counted8().is_none() {
            return (!whole).then_some(());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_new_call() {
        let call = hex("8004 0000 00000001 00 00 06 01 0b020002 010433343432");
        let talk = Talk::udp(4569).client(&call);
        assert_eq!(talk.protocol(), Protocol::IAX);
        talk.survives();
        let mut bad = call;
        bad[13] = 19;
        assert_eq!(Talk::udp(4569).client(&bad).protocol(), Protocol::UNKNOWN);
    }
}
