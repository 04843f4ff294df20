//! Guild Wars 2 on NCsoft's platform: requests like those of HTTP, with a version of their own.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::GUILD_WARS2, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(b"P /Sts/", Protocol::GUILD_WARS2) {
        Verdict::No => view.opens(b"STS/1.0 ", Protocol::GUILD_WARS2),
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_client_connects() {
        let connect = b"P /Sts/Connect STS/1.0\r\nl:10\r\n\r\n";
        assert_eq!(Talk::tcp(6112).client(connect).protocol(), Protocol::GUILD_WARS2);
    }
}
