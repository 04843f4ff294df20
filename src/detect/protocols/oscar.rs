//! OSCAR, of AIM and ICQ: frames of FLAP, as its public descriptions have them.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::OSCAR, &[5190], dissect);

/// Channels of frames: of signing on, data, errors, signing off, staying alive.
const SIGN_ON: u8 = 1;
const DATA: u8 = 2;
const LAST_CHANNEL: u8 = 5;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([b'*', channel @ SIGN_ON..=LAST_CHANNEL, _, _, high, low]) = view.at(0) else {
        let fits = matches!(view.data, [b'*'] | [b'*', SIGN_ON..=LAST_CHANNEL, ..]);
        return if fits && view.len < 6 { Verdict::Wait } else { Verdict::No };
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    let Some(body) = view.data.get(6..).and_then(|rest| rest.get(..len)) else {
        return if view.len < 1_024 { Verdict::Wait } else { Verdict::No };
    };
    let next = view.data.get(len.saturating_add(6));
    let fits = match (channel, body) {
        // The version of frames.
        (SIGN_ON, [0, 0, 0, 1, ..]) => true,
        // A family of services and a kind, flags, and a number.
        (DATA, [0, 1..=0x25, 0, _, _, _, _, _, _, _, ..]) => view.has_port(5190) || next.is_some(),
        _ => false,
    };
    if fits && matches!(next, None | Some(b'*')) {
        Verdict::Is(Protocol::OSCAR)
    } else {
        Verdict::No
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn frames() {
        assert_eq!(
            Talk::tcp(443).server(b"*\x01\0\x01\0\x04\0\0\0\x01").protocol(),
            Protocol::OSCAR
        );
        let data = b"*\x02\0\x02\0\x0a\0\x01\0\x03\0\0\0\0\0\0";
        assert_eq!(Talk::tcp(5190).server(data).protocol(), Protocol::OSCAR);
        assert_eq!(Talk::tcp(5191).server(data).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(5190).server(b"* OK IMAP4\r\n").protocol(), Protocol::IMAP);
    }
}
