//! Soulseek (as Nicotine+ documents it): to the server length, code 1, name, password, version; to
//! peers length, code 1 in one octet, name, kind of connection.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::SOULSEEK, &[2242], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([len, _, 0, 0, 1, a, b, c]) = view.at(0) else { return Verdict::No };
    if !view.is_counted32_le(0, 4) || len < 9 {
        return Verdict::No;
    }
    let mut cursor = view.cursor();
    let login = [a, b, c] == [0; 3];
    let is_read = || -> Option<bool> {
        cursor.skip(if login { 8 } else { 5 })?;
        let name = cursor.u32_le().and_then(|len| usize::try_from(len).ok())?;
        let text = cursor.take(name)?.iter().all(|octet| *octet >= 0x20);
        let next = cursor.u32_le().and_then(|len| usize::try_from(len).ok())?;
        let kind = cursor.take(next)?;
        Some(text && name > 0 && (login || matches!(kind, b"P" | b"F" | b"D")))
    };
    let mut is_read = is_read;
    Verdict::when(is_read() == Some(true), Protocol::SOULSEEK)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_login_fills_its_length() {
        let login = hex("15000000 01000000 03000000 626f62 02000000 7077 a0000000");
        let talk = Talk::tcp(2242).client(&login);
        assert_eq!(talk.protocol(), Protocol::SOULSEEK);
        talk.survives();
    }
}
