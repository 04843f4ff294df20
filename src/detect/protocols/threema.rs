//! Threema's chat (its whitepaper): keys and cookies of both, 48 octets answered by 80, before
//! anything else is said.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::THREEMA, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
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

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn threema_by_the_lengths_of_its_hellos() {
        let talk = Talk::tcp(5222).client(&[0xf3; 48]);
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(talk.clone().server(&[0x38; 80]).protocol(), Protocol::THREEMA);
        assert_eq!(talk.server(&[0x38; 81]).protocol(), Protocol::UNKNOWN);
    }
}
