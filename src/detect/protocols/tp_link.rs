//! TP-Link's smart home: an object, each octet masked with the one before (softScheck, "Reverse
//! Engineering the TP-Link HS110").

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::TP_LINK, &[9999], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let data = if view.is_tcp() {
        match view.data.get(4..) {
            Some(data) if data.len() >= 8 => data,
            _ if view.first().is_none_or(|octet| octet == 0) && view.has_port(9999) => {
                return Verdict::Wait;
            }
            _ => return Verdict::No,
        }
    } else {
        view.data
    };
    let mut key = 171;
    let mut text = [0_u8; 10];
    for (to, from) in text.iter_mut().zip(data) {
        *to = from ^ key;
        key = *from;
    }
    let found = data.len() >= 10
        && text.starts_with(b"{\"")
        && text.iter().skip(2).all(|octet| octet.is_ascii_graphic() && *octet != b'{');
    Verdict::when(found, Protocol::TP_LINK)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn an_object_is_masked() {
        let plug = "d0f281f88bff9af7d5ef94b6d1b4c09fec95e68fe187e8caf08bf68bf6";
        assert_eq!(of(9999, plug), Protocol::TP_LINK);
        let mut framed = hex("0000001d");
        framed.extend(hex(plug));
        assert_eq!(Talk::tcp(9999).client(&framed).protocol(), Protocol::TP_LINK);
        Talk::tcp(9999).client(&framed).survives();
    }
}
