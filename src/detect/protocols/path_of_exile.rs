//! Path of Exile: the client's first message is of kind 3 and has the account's name with its
//! length.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::PATH_OF_EXILE, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let at_port = view.has_port(6112) || view.has_port(20481);
    let Some([0, 3, _, _, _, _, _, _, 0, len]) = view.at(0) else { return Verdict::No };
    let name = view.data.get(10..).unwrap_or_default();
    let found = at_port
        && (2..=64).contains(&len)
        && name.len() >= usize::from(len)
        && name.iter().take(len.into()).all(u8::is_ascii_graphic);
    Verdict::when(found, Protocol::PATH_OF_EXILE)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn an_account_logs_in() {
        let login = hex("0003 00377560 0002 0009 6e4450495f54657374 00000000");
        assert_eq!(Talk::tcp(6112).client(&login).protocol(), Protocol::PATH_OF_EXILE);
    }
}
