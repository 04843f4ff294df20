//! SoftEther's way through address translation: asks with one letter, is told `IP=…,PORT=…`;
//! registration is a pack with names.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::SOFTETHER, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let told = view.starts(b"IP=") && view.data.windows(6).any(|window| window == b",PORT=");
    let named = view.len > 99
        && matches!(view.u32_at(0), Some(1..=64))
        && matches!(view.at(4), Some([0, 0, 0, 2..=40]))
        && view.data.iter().skip(8).take(3).all(u8::is_ascii_alphabetic);
    let begins = view.len == 1 && view.first() == Some(b'A') && view.has_port(5004);
    if begins {
        return Verdict::Wait;
    }
    Verdict::when(told || named && view.has_port(5004), Protocol::SOFTETHER)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn an_address_is_told() {
        let told = Talk::udp(5004).client(b"A").server(b"IP=192.0.2.1,PORT=4000");
        assert_eq!(told.protocol(), Protocol::SOFTETHER);
    }
}
