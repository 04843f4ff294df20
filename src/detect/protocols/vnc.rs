//! VNC, the remote frame buffer: RFC 6143. Both ends say `RFB 003.008` or the like.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::VNC, &[5900, 5901, 5800], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_short(12) && (view.starts(b"RFB") || b"RFB 00".starts_with(view.data)) {
        return Verdict::Wait;
    }
    let found = view.starts(b"RFB 00") && view.data.get(7) == Some(&b'.');
    Verdict::when(found, Protocol::VNC)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_server_says_its_version() {
        assert_eq!(Talk::tcp(5900).server(b"RFB 003.008\n").protocol(), Protocol::VNC);
        assert_eq!(Talk::tcp(5900).server(b"RFB 003").protocol(), Protocol::UNKNOWN);
    }
}
