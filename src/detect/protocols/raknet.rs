//! RakNet (its manual and sources, now open), under Minecraft Bedrock, Roblox and others: messages
//! without connection have a magic number, those with one are counted.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::RAKNET, &[19132, 19133], dissect);

const MAGIC: [u8; 16] = [
    0x00, 0xff, 0xff, 0x00, 0xfe, 0xfe, 0xfe, 0xfe, 0xfd, 0xfd, 0xfd, 0xfd, 0x12, 0x34, 0x56, 0x78,
];

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = match view.first() {
        // Pings say the time first; pongs the time and who they are.
        Some(1 | 2) if view.at(9) == Some(MAGIC) => true,
        Some(0x1c) => view.at(17) == Some(MAGIC) || view.len > 35 && view.is_counted16(33, 35),
        // Roblox puts a header of its own before.
        Some(1) => {
            view.at(1) == Some([0, 0]) && {
                let header = view.at::<1>(3).map_or(0, |[len]| usize::from(len));
                view.at(header.saturating_add(1)) == Some(MAGIC)
            }
        }
        Some(kind @ 3..=0x7f) => view.at(1) == Some(MAGIC) && kind != 0x20,
        Some(0xa0 | 0xc0) => is_receipt(view),
        Some(0x80..=0x8d) => is_frames(view),
        _ => false,
    };
    Verdict::when(found, Protocol::RAKNET)
}

/// What arrived or did not: count, then single numbers or ranges that fill the rest.
fn is_receipt(view: &View<'_>) -> bool {
    let mut cursor = view.cursor();
    let (Some(_), Some(count)) = (cursor.u8(), cursor.u16()) else { return false };
    if count == 0 || count > 512 || view.data.len() < view.len {
        return false;
    }
    for _ in 0..count {
        let is_single = match cursor.u8() {
            Some(single @ 0..=1) => single == 1,
            _ => return false,
        };
        let (Some(from), to) = (number(&mut cursor), is_single.then_some(0)) else { return false };
        let Some(to) = to.map(|_| from).or_else(|| number(&mut cursor)) else { return false };
        if to.wrapping_sub(from) > 4_096 {
            return false;
        }
    }
    cursor.is_empty()
}

/// Three octets, least significant first.
fn number(cursor: &mut Cursor<'_>) -> Option<u32> {
    cursor.u24().map(|number| number.swap_bytes() >> 8)
}

/// Number, then frames whose lengths in bits fill the rest.
fn is_frames(view: &View<'_>) -> bool {
    let mut cursor = view.cursor();
    if cursor.skip(4).is_none() || view.data.len() < view.len || view.len < 8 {
        return false;
    }
    for _ in 0..64 {
        if cursor.is_empty() {
            return true;
        }
        let (Some(flags), Some(bits)) = (cursor.u8(), cursor.u16()) else { return false };
        let reliability = flags >> 5;
        // Number of the frame, of its sequence, its order; parts of what was split.
        let header: usize = match reliability {
            0 | 5 => 0,
            2 | 6 => 3,
            1 | 3 | 7 => 7,
            _ => 10,
        };
        let split = if flags & 0x10 != 0 { 10 } else { 0 };
        let header = header.saturating_add(split);
        let octets = usize::from(bits >> 3);
        if flags & 0x0f != 0
            || octets == 0
            || bits & 7 != 0
            || cursor.skip(header.saturating_add(octets)).is_none()
        {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_connection_is_asked_for() {
        let mut ask = hex("05 00ffff00fefefefefdfdfdfd12345678 06");
        ask.resize(1464, 0);
        assert_eq!(Talk::udp(60_030).client(&ask).protocol(), Protocol::RAKNET);
        ask[3] = 0;
        assert_eq!(Talk::udp(60_030).client(&ask).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn receipts_and_frames_fill_their_datagrams() {
        let receipt = hex("c0 0001 00 010000 020000");
        let talk = Talk::udp(60_005).client(&receipt);
        assert_eq!(talk.protocol(), Protocol::RAKNET);
        talk.survives();
        assert_eq!(Talk::udp(60_005).client(&receipt[..9]).protocol(), Protocol::UNKNOWN);
        let frames = hex("84 000000 40 0090 000000 090000 0000490f027c000000000015e93b00");
        assert_eq!(Talk::udp(60_005).client(&frames).protocol(), Protocol::RAKNET);
    }
}
