//! Gopher: RFC 1436. Its menus have a form of their own.

use crate::detect::text::{is_text, line, number};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::GOPHER, &[70], dissect);

/// Octets of a selector.
const MAX_SELECTOR: usize = 255;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let is_menu = |half: &[u8]| {
        let head = half.get(..512).unwrap_or(half);
        is_kind(head.first()) && line(head).is_some_and(|(line, _)| is_item(line))
    };
    if is_menu(view.data) || is_menu(view.other) {
        return Verdict::Is(Protocol::GOPHER);
    }
    // A selector alone says too little elsewhere.
    let asked = view.from_client();
    if asked.len() > MAX_SELECTOR || !is_text(view.data) {
        return Verdict::No;
    }
    match line(asked) {
        Some((_, [])) if view.from_server().is_empty() => Verdict::Wait,
        Some((_, [])) if view.server_port == 70 => Verdict::Is(Protocol::GOPHER),
        Some((_, [])) if line(view.from_server()).is_none() => Verdict::Wait,
        None if view.server_port == 70 => Verdict::Wait,
        _ => Verdict::No,
    }
}

fn is_kind(first: Option<&u8>) -> bool {
    matches!(first, Some(b'0'..=b'9' | b'+' | b'T' | b'g' | b'I' | b'h' | b'i'))
}

/// Kind and text, selector, host and port with tabs between.
fn is_item(line: &[u8]) -> bool {
    let mut fields = line.split(|octet| *octet == b'\t');
    let (_, selector, host, port) = (fields.next(), fields.next(), fields.next(), fields.next());
    let is_port = port.and_then(number).is_some_and(|port| port <= 65_535);
    selector.is_some() && host.is_some_and(|host| !host.is_empty()) && is_port
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn menus_and_selectors() {
        let menu = b"1Floodgap\t/home\tgopher.example\t70\r\n";
        assert_eq!(Talk::tcp(7070).client(b"\r\n").server(menu).protocol(), Protocol::GOPHER);
        assert_eq!(Talk::tcp(70).client(b"/a\r\n").server(b"text").protocol(), Protocol::GOPHER);
        assert_eq!(Talk::tcp(71).client(b"/a\r\n").server(b"text").protocol(), Protocol::UNKNOWN);
        let other = b"1a\tb\tc\td\r\n";
        assert_eq!(Talk::tcp(7070).server(other).protocol(), Protocol::UNKNOWN);
    }
}
