//! Chats and calls that are known by a few octets of their beginning: Threema (its whitepaper,
//! chat server protocol), IMO, DingTalk, Agora's SD-RTN, Webex.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const THREEMA: Dissector = Dissector::tcp(Protocol::THREEMA, &[], threema);

pub(super) const IMO: Dissector = Dissector::udp(Protocol::IMO, &[], imo).weak();

pub(super) const DINGTALK: Dissector = Dissector::tcp(Protocol::DINGTALK, &[], dingtalk);

pub(super) const SD_RTN: Dissector = Dissector::udp(Protocol::SD_RTN, &[8130], sd_rtn);

pub(super) const WEBEX: Dissector = Dissector::udp(Protocol::WEBEX, &[9000], webex).bound();

/// Keys and cookies of both: 48 octets, answered by 80, before anything else is said.
fn threema(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let at_port = view.has_port(5222) || view.server_port == 443;
    let (client, server) = (view.from_client(), view.from_server());
    let fits = at_port
        && client.len() <= 48
        && server.len() <= 80
        && !client.starts_with(b"\x16\x03")
        && !client.iter().take(4).all(u8::is_ascii);
    if !fits {
        return Verdict::No;
    }
    if (client.len(), server.len()) == (48, 80) {
        Verdict::Is(Protocol::THREEMA)
    } else if client.len() == 48 && server.is_empty() && view.is_start {
        Verdict::Wait
    } else {
        Verdict::No
    }
}

/// Acknowledgements: kind, two octets, a number, zeros; among the first datagrams.
fn imo(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = match view.len {
        10 => matches!(view.at(0), Some([9, 2 | 3, _, _, _, 0, 0, 0, 0, 0])),
        11 => matches!(view.at(0), Some([0, 9, 2 | 3, _, _, _, 0, 0, 0, 0, 0])),
        _ => false,
    };
    if found {
        Verdict::Is(Protocol::IMO)
    } else if view.number <= 3 && view.server_port > 1024 {
        Verdict::Wait
    } else {
        Verdict::No
    }
}

/// Kind, length of the rest but four, versions.
fn dingtalk(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([0x10, len, 0x87, 0x80, 1, 0, 1, 0]) = view.at(0) else { return Verdict::No };
    Verdict::when(usize::from(len).saturating_add(4) == view.len, Protocol::DINGTALK)
}

/// Numbers of both ends, then tags with values as in Google's early QUIC.
fn sd_rtn(view: &View<'_>, facts: &mut Facts) -> Verdict {
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

/// Probes of the media servers.
fn webex(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = matches!(view.at(0), Some([1 | 2, 0, 0, 0, 0, _, _, 1])) && view.len == 8;
    Verdict::when(found && view.has_port(9000), Protocol::WEBEX)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn threema_by_the_lengths_of_its_hellos() {
        let talk = Talk::tcp(5222).client(&[0xf3; 48]);
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(talk.clone().server(&[0x38; 80]).protocol(), Protocol::THREEMA);
        assert_eq!(talk.server(&[0x38; 81]).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn agora_names_its_server() {
        let mut hello = hex("008bdf70000021000000000004");
        hello.extend(b"SNI\0\x0e\0edge.agora.exaPDMD\0\0");
        let talk = Talk::udp(8130).client(&hello);
        assert_eq!(talk.protocol(), Protocol::SD_RTN);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("edge.agora.exa"));
        talk.survives();
    }

    #[test]
    fn the_others() {
        let talk = Talk::udp(57_604).client(&[7]).server(&hex("0902dc9a020000000000"));
        assert_eq!(talk.protocol(), Protocol::IMO);
        let talk = hex("1008878001000100 02000264");
        assert_eq!(Talk::tcp(443).client(&talk).protocol(), Protocol::DINGTALK);
        let probe = hex("0100000000000001");
        assert_eq!(Talk::udp(9000).client(&probe).protocol(), Protocol::WEBEX);
        assert_ne!(Talk::udp(9001).client(&probe).protocol(), Protocol::WEBEX);
    }
}
