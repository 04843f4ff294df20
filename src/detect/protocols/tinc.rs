//! tinc 1.0 and 1.1 (its manual, chapter 6): both ends say `0 name 17` first, request, node and
//! version.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::TINC, &[655], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if !view.data.starts_with(b"0 ") {
        let begun = view.is_short(2) && b"0 ".starts_with(view.data);
        return if begun { Verdict::Wait } else { Verdict::No };
    }
    let near = view.data.get(..80).unwrap_or(view.data);
    let Some(end) = near.iter().position(|octet| *octet == b'\n') else {
        return if near.len() < 80 { Verdict::Wait } else { Verdict::No };
    };
    let mut words = near.get(2..end).unwrap_or_default().split(|octet| *octet == b' ');
    let name = words.next().unwrap_or_default();
    let version = words.next().unwrap_or_default();
    let found = !name.is_empty()
        && name.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'^'))
        && version.starts_with(b"17")
        && version.iter().all(|octet| octet.is_ascii_digit() || *octet == b'.')
        && words.next().is_none();
    Verdict::when(found, Protocol::TINC)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_node_says_its_name() {
        assert_eq!(Talk::tcp(655).client(b"0 thi").client(b"nk 17\n").protocol(), Protocol::TINC);
        assert_eq!(Talk::tcp(655).client(b"0 a b c\n").protocol(), Protocol::UNKNOWN);
    }
}
