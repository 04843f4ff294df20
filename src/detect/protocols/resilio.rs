//! Resilio Sync (BitTorrent Sync): discovery in the local network and by trackers, dictionaries
//! behind a word of its own.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::RESILIO, &[3838], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    Verdict::when(view.starts(b"BSYNC\0d"), Protocol::RESILIO)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_ping() {
        let ping = b"BSYNC\0d1:m4:ping4:porti3838ee";
        assert_eq!(Talk::udp(3838).client(ping).protocol(), Protocol::RESILIO);
        assert_eq!(Talk::udp(3838).client(b"BSYNC d1:m").protocol(), Protocol::UNKNOWN);
    }
}
