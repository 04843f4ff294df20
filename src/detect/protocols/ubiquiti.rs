//! Ubiquiti's discovery: version, command, length of the rest; then fields with lengths, or
//! nothing.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::udp(Protocol::UBIQUITI, &[10001], dissect).bound();

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some([1 | 2, _]) = view.at(0) else { return Verdict::No };
    if !view.has_port(10001) || !view.is_counted16(2, 4) {
        return Verdict::No;
    }
    let mut cursor = Cursor::new(view.data.get(4..).unwrap_or_default());
    for _ in 0..64 {
        if cursor.is_empty() {
            return Verdict::Is(Protocol::UBIQUITI);
        }
        let kind = cursor.u8();
        let Some(value) = cursor.counted16() else { return Verdict::No };
        if kind == Some(0x0b) {
            facts.put(Fact::HostName, value);
        }
    }
    Verdict::Is(Protocol::UBIQUITI)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_device_names_itself() {
        let talk = Talk::udp(10_001).client(&hex("02 06 0009 0b0006 67617465776179"));
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        let talk = Talk::udp(10_001).client(&hex("02 06 000a 0b0007 67617465776179"));
        assert_eq!(talk.protocol(), Protocol::UBIQUITI);
        assert_eq!(talk.fact(Fact::HostName).as_deref(), Some("gateway"));
    }
}
