//! LDAP: RFC 4511; over UDP as Active Directory asks for its controllers (MS-ADTS, 6.3.3).

use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::LDAP, &[389, 3268], dissect);

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    view.judge(Protocol::LDAP, read(view, facts))
}

fn read(view: &View<'_>, facts: &mut Facts) -> Option<bool> {
    let mut cursor = view.cursor();
    if *view.data.first()? != 0x30 {
        return Some(false);
    }
    let (_, whole) = cursor.ber()?;
    let header = view.data.len().saturating_sub(cursor.rest().len());
    if whole < 5 || (view.is_udp() && whole != view.len.saturating_sub(header)) {
        return Some(false);
    }
    let (0x02, id @ ([_] | [_, _] | [_, _, _] | [_, _, _, _])) = cursor.ber_value()? else {
        return Some(false);
    };
    let (operation, len) = cursor.ber()?;
    let is_operation =
        matches!(operation, 0x42 | 0x4a | 0x50 | 0x60 | 0x61 | 0x63..=0x6f | 0x73 | 0x77..=0x79);
    let left = whole.saturating_sub(id.len()).saturating_sub(3);
    if !is_operation || len > left || id.first()? & 0x80 != 0 {
        return Some(false);
    }
    match operation {
        // Bind: version, name.
        0x60 => {
            let (0x02, [2 | 3]) = cursor.ber_value()? else { return Some(false) };
            let (tag, name) = cursor.ber_value()?;
            facts.put(Fact::User, name);
            Some(tag == 0x04)
        }
        // Search: base, scope.
        0x63 => {
            let (tag, _) = cursor.ber_value()?;
            let (scope, value) = cursor.ber_value()?;
            Some(tag == 0x04 && scope == 0x0a && value.len() == 1)
        }
        // An entry or a reference: names.
        0x64 | 0x73 => Some(cursor.ber()?.0 == 0x04),
        // Results begin with an enumerated value, the rest with a string of some kind.
        0x61 | 0x65 | 0x67 | 0x69 | 0x6b | 0x6d | 0x6f | 0x78 => Some(cursor.ber()?.0 == 0x0a),
        0x66 | 0x68 | 0x6c | 0x6e => Some(cursor.ber()?.0 == 0x04),
        0x77 => Some(cursor.ber()?.0 == 0x80),
        0x42 => Some(len == 0),
        0x4a | 0x50 | 0x79 => Some(true),
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_bind_names_its_user() {
        let bind = hex("30 11 02 01 01 60 0c 02 01 03 04 04 63 6e 3d 61 80 01 78");
        let talk = Talk::tcp(389).client(&bind);
        assert_eq!(talk.protocol(), Protocol::LDAP);
        assert_eq!(talk.fact(Fact::User).as_deref(), Some("cn=a"));
        Talk::tcp(389).client(&bind).survives();
        let unbind = hex("30 05 02 01 03 42 00");
        assert_eq!(Talk::tcp(1389).client(&unbind).protocol(), Protocol::LDAP);
    }

    #[test]
    fn a_controller_is_looked_for() {
        let search = hex("30 12 02 01 02 63 0d 04 00 0a 01 00 0a 01 00 02 01 00 02 00");
        assert_eq!(Talk::udp(389).client(&search).protocol(), Protocol::LDAP);
        let mut long = search.clone();
        long.push(0);
        assert_eq!(Talk::udp(389).client(&long).protocol(), Protocol::UNKNOWN);
        let mut other = search;
        other[5] = 0x62;
        assert_eq!(Talk::udp(389).client(&other).protocol(), Protocol::UNKNOWN);
    }
}
