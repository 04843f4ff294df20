//! STUN and TURN: RFC 8489, RFC 8656, RFC 5780; the older form of RFC 3489. Applications show by
//! attributes of their own (ranges registered with IANA or published by their vendors).

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::STUN, &[3478], dissect);

/// Octets before the attributes.
const HEADER: usize = 20;

const COOKIE: u32 = 0x2112_a442;

/// Attributes of a message that are looked at.
const MAX_ATTRIBUTES: usize = 32;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if view.is_udp() && view.number > 1 && is_handshake(view) {
        // The peers have found each other and go on with DTLS (RFC 7983).
        return Verdict::Is(Protocol::DTLS);
    }
    if view.is_udp() && view.number > 2 && is_media(view) {
        facts.put_first(Fact::Application, b"whatsapp");
        return Verdict::Is(Protocol::SRTP);
    }
    // Over TCP a length may lie before the message (RFC 4571).
    let framed = view.is_tcp() && view.u16_at(2).is_some_and(|kind| kind & 0xc000 == 0);
    let at = if framed && view.u32_at(6) == Some(COOKIE) { 2 } else { 0 };
    let Some(message) = view.data.get(at..) else { return Verdict::No };
    if is_message(view, message) {
        read(message, facts);
        return Verdict::More(Protocol::STUN);
    }
    let is_channel = matches!(view.first(), Some(0x40..=0x4f))
        && view.has_port(3478)
        && view.u16_at(2).is_some_and(|len| {
            let rest = view.len.saturating_sub(4);
            (rest & !3..=rest).contains(&usize::from(len)) && len > 0
        });
    if is_channel {
        return Verdict::More(Protocol::STUN);
    }
    if !facts.is_empty() || view.number > 1 && has_cookie(view) {
        return Verdict::More(Protocol::STUN);
    }
    let is_begun = view.is_short(HEADER) && view.first().is_none_or(|octet| octet <= 1);
    if is_begun { Verdict::Wait } else { Verdict::No }
}

/// An earlier datagram was a message.
fn has_cookie(view: &View<'_>) -> bool {
    view.past.iter().any(|past| past.head.get(4..8) == Some(&COOKIE.to_be_bytes()))
}

/// A record of DTLS that carries a handshake.
fn is_handshake(view: &View<'_>) -> bool {
    matches!(view.at(0), Some([22, 0xfe, 0xff | 0xfd])) && view.len > 13
}

/// RTP of a dynamic type where the peers only asked each other for life before, with nothing but
/// a code in their messages, as WhatsApp's do.
fn is_media(view: &View<'_>) -> bool {
    matches!(view.at(0), Some([0x80 | 0x90, 96..=127 | 224..=255]))
        && view.past.iter().all(|past| {
            past.len == 44 && past.head.get(2..8) == Some(&[0, 24, 0x21, 0x12, 0xa4, 0x42])
        })
}

fn is_message(view: &View<'_>, message: &[u8]) -> bool {
    let mut cursor = Cursor::new(message);
    let (Some(kind), Some(len), Some(cookie)) = (cursor.u16(), cursor.u16(), cursor.u32()) else {
        return false;
    };
    let whole = usize::from(len).saturating_add(HEADER);
    if kind & 0xc000 != 0 || message.len() < HEADER {
        return false;
    }
    // WhatsApp and Teams do not pad their last attribute.
    if cookie == COOKIE {
        return if view.is_udp() { whole <= view.len } else { whole <= 2048 };
    }
    // RFC 3489 has no cookie: methods, length and every attribute must fit.
    view.is_udp()
        && matches!(kind, 0x0001 | 0x0101 | 0x0111 | 0x0002 | 0x0102 | 0x0112)
        && whole == view.len
        && if len == 0 { view.has_port(3478) } else { is_old(message) }
}

/// All attributes are those of RFC 3489 and end where the message ends.
fn is_old(message: &[u8]) -> bool {
    let mut cursor = Cursor::new(message.get(HEADER..).unwrap_or_default());
    for _ in 0..MAX_ATTRIBUTES {
        if cursor.is_empty() {
            return true;
        }
        let known = matches!(
            cursor.u16(),
            Some(1..=0x0b | 0x0020 | 0x0101..=0x0103 | 0x8020 | 0x8022 | 0x8028)
        );
        let value = cursor.counted16();
        if !known || value.is_none_or(|value| value.len() & 3 != 0) {
            return false;
        }
    }
    false
}

fn read(message: &[u8], facts: &mut Facts) {
    let mut cursor = Cursor::new(message);
    let Some(header) = cursor.array::<HEADER>() else { return };
    for _ in 0..MAX_ATTRIBUTES {
        let (Some(kind), Some(len)) = (cursor.u16(), cursor.u16()) else { return };
        let len = usize::from(len);
        let Some(value) = cursor.take(len) else { return };
        if cursor.skip(len.wrapping_neg() & 3).is_none() {
            // The last one need not be padded.
            cursor = Cursor::new(&[]);
        }
        let is_hidden = matches!(kind, 0x0020 | 0x8020 | 0x0012 | 0x0016);
        let fact = match kind {
            0x0001 | 0x0020 | 0x8020 => Fact::StunMapped,
            0x0012 => Fact::StunPeer,
            0x0016 => Fact::StunRelayed,
            0x802b => Fact::StunResponse,
            0x802c => Fact::StunOther,
            0x0014 => {
                let name = value.split(|octet| *octet == 0).next().unwrap_or_default();
                facts.put(Fact::Host, name);
                continue;
            }
            0x8022 => {
                facts.put(Fact::Server, value);
                continue;
            }
            _ => {
                if let Some(application) = application(kind) {
                    facts.put_first(Fact::Application, application);
                }
                continue;
            }
        };
        put_address(facts, fact, value, &header, is_hidden);
    }
}

/// Who sends attributes of this number: WhatsApp 4000 and up; Microsoft's of \[MS-TURN\] and
/// \[MS-ICE2\] (8008 sequence number, 8054 candidate identifier, 8055 service quality, 8070
/// version of the implementation); Zoom 0101 and up.
const fn application(kind: u16) -> Option<&'static [u8]> {
    match kind {
        0x4000..=0x4007 => Some(b"whatsapp"),
        0x8054 | 0x8055 | 0x8070 => Some(b"teams"),
        0x0101..=0x0103 => Some(b"zoom"),
        _ => None,
    }
}

/// Learns an address and port, written as `host:port`.
fn put_address(facts: &mut Facts, fact: Fact, value: &[u8], header: &[u8], is_hidden: bool) {
    let mut cursor = Cursor::new(value);
    let (Some(_), Some(family), Some(port)) = (cursor.u8(), cursor.u8(), cursor.u16()) else {
        return;
    };
    // Cookie and transaction hide them (RFC 8489, 14.2).
    let mask = header.get(4..).filter(|_| is_hidden).unwrap_or(&[0; 16]);
    let port = port ^ u16::from_be_bytes(mask.first_chunk::<2>().copied().unwrap_or_default());
    let mut address = [0_u8; 16];
    for ((to, from), mask) in address.iter_mut().zip(cursor.rest()).zip(mask) {
        *to = from ^ mask;
    }
    let ip = match (family, cursor.rest().len()) {
        (1, 4) => {
            let [a, b, c, d, ..] = address;
            std::net::IpAddr::from([a, b, c, d])
        }
        (2, 16) => std::net::IpAddr::from(address),
        _ => return,
    };
    let mut text = Text { octets: [0; 56], len: 0 };
    let _ = std::fmt::Write::write_fmt(
        &mut text,
        format_args!("{}", std::net::SocketAddr::new(ip, port)),
    );
    facts.put(fact, text.octets.get(..text.len).unwrap_or_default());
}

/// Room for the text of an address.
struct Text {
    octets: [u8; 56],
    len: usize,
}

impl std::fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        for (to, from) in self.octets.iter_mut().skip(self.len).zip(part.bytes()) {
            *to = from;
        }
        self.len = self.len.saturating_add(part.len()).min(self.octets.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    /// RFC 5769, 2.2.
    const RESPONSE: &str =
        "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f722000200008
        0001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";

    #[test]
    fn a_response_tells_the_mapped_address() {
        let talk = Talk::udp(3478).server(&hex(RESPONSE));
        assert_eq!(talk.protocol(), Protocol::STUN);
        assert_eq!(talk.fact(Fact::StunMapped).as_deref(), Some("192.0.2.1:32853"));
        assert_eq!(talk.fact(Fact::Server).as_deref(), Some("test vector"));
        talk.survives();
        let talk = Talk::tcp(3478).server(&hex(RESPONSE));
        assert_eq!(talk.protocol(), Protocol::STUN);
        talk.survives();
    }

    #[test]
    fn realms_are_names_and_attributes_tell_applications() {
        let mut message = hex("0113001c2112a442000102030405060708090a0b");
        message.extend(hex("00140010"));
        message.extend(b"turn.example.org");
        message.extend(hex("40000004 00000000"));
        message[3] = 28;
        let talk = Talk::udp(40_000).client(&message);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("turn.example.org"));
        assert_eq!(talk.fact(Fact::Application).as_deref(), Some("whatsapp"));
    }

    #[test]
    fn an_old_message_must_fit_in_every_part() {
        let old = hex("0001000800000000111111112222222233333333 00030004 00000006");
        assert_eq!(Talk::udp(13_958).client(&old).protocol(), Protocol::STUN);
        let mut bad = old.clone();
        bad[3] = 4;
        assert_eq!(Talk::udp(13_958).client(&bad).protocol(), Protocol::UNKNOWN);
        let mut bad = old;
        bad[20] = 0x70;
        assert_eq!(Talk::udp(13_958).client(&bad).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn peers_go_on_with_dtls() {
        let mut hello = hex("16fefd0000000000000000 0010 01000004 0000 000000 000004 aabbccdd");
        hello.extend([0; 8]);
        let talk = Talk::udp(40_000).server(&hex(RESPONSE)).client(&hello);
        assert_eq!(talk.protocol(), Protocol::DTLS);
    }
}
