//! WebSocket in the middle of a connection, its opening by HTTP not seen: RFC 6455, 5.2.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::WEBSOCKET, &[], dissect).weak();

/// First octets of frames that are one message: of text, a ping, its answer.
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Bit of a frame that is masked, as all of a client are.
const MASKED: u8 = 0x80;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let [Some(TEXT), Some(second)] = [view.data.first(), view.data.get(1)].map(|o| o.copied())
    else {
        let may = matches!(view.data, [TEXT]) && !view.is_start;
        return if may { Verdict::Wait } else { Verdict::No };
    };
    if view.is_start {
        return Verdict::No;
    }
    let (len, at) = match second & !MASKED {
        126 => (view.u16_at(2).map(usize::from), 4_usize),
        127 => return Verdict::No,
        short => (Some(usize::from(short)), 2),
    };
    let Some(len) = len.filter(|len| *len >= 8) else { return Verdict::No };
    let mask = if second & MASKED == 0 { Some([0; 4]) } else { view.at::<4>(at) };
    let from = if second & MASKED == 0 { at } else { at.saturating_add(4) };
    let end = from.saturating_add(len);
    let (Some(mask), Some(text)) = (mask, view.data.get(from..end)) else { return Verdict::No };
    let is_text = text
        .iter()
        .zip(mask.iter().cycle())
        .all(|(octet, mask)| matches!(octet ^ mask, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0xa0..));
    let ends = matches!(view.data.get(end), None | Some(&(TEXT | PING | PONG)));
    if is_text && ends { Verdict::Is(Protocol::WEBSOCKET) } else { Verdict::No }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_frame_of_text() {
        let mut frame = vec![0x81, 0x80 | 12, 1, 2, 3, 4];
        frame.extend(b"{\"hello\": 1}".iter().zip([1, 2, 3, 4].iter().cycle()).map(|(o, m)| o ^ m));
        assert_eq!(Talk::tcp(8081).midway().client(&frame).protocol(), Protocol::WEBSOCKET);
        assert_eq!(Talk::tcp(8081).client(&frame).protocol(), Protocol::UNKNOWN);
        let plain = b"\x81\x0c{\"hello\": 1}";
        assert_eq!(Talk::tcp(8081).midway().server(plain).protocol(), Protocol::WEBSOCKET);
        assert_eq!(Talk::tcp(8081).midway().server(&plain[..9]).protocol(), Protocol::UNKNOWN);
        frame[8] ^= 0x60;
        assert_eq!(Talk::tcp(8081).midway().client(&frame).protocol(), Protocol::UNKNOWN);
    }
}
