//! Dofus, version 1: the server's hello is two letters, a key of 32 letters and a zero.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::DOFUS, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = view.starts(b"HC")
        && view.len == 35
        && view.data.get(2..34).is_some_and(|key| key.iter().all(u8::is_ascii_lowercase))
        && view.data.last() == Some(&0);
    Verdict::when(found, Protocol::DOFUS)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_server_says_its_key() {
        let hello = b"HCabcdefghijklmnopqrstuvwxyzabcdef\0";
        assert_eq!(Talk::tcp(443).server(hello).protocol(), Protocol::DOFUS);
    }
}
