//! frp, a reverse proxy: a kind (login, answer), eight octets of length, an object.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::FRP, &[7000], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        Some([b'o' | b'1' | b'p' | b'w', 0, 0, 0, 0, 0, 0, _, _, b'{']) => {
            Verdict::when(view.is_counted32(5, 9) || view.len > 9, Protocol::FRP)
        }
        None if view.first() == Some(b'o') && view.is_short(10) => Verdict::Wait,
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_client_logs_in() {
        let login = b"o\0\0\0\0\0\0\0\x10{\"version\":\"1\" }";
        let talk = Talk::tcp(7000).client(login);
        assert_eq!(talk.protocol(), Protocol::FRP);
        talk.survives();
    }
}
