//! Dropbox in the local network: announcements to neighbours are objects with the same members.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::DROPBOX, &[17500], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let near = view.data.get(..128).unwrap_or(view.data);
    let found = view.is_udp()
        && near.starts_with(b"{\"")
        && near.windows(10).any(|window| window == b"\"host_int\"");
    Verdict::when(found, Protocol::DROPBOX)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_neighbour_is_told() {
        let near = b"{\"version\": [2, 0], \"port\": 17500, \"host_int\": 33}";
        assert_eq!(Talk::udp(17_500).client(near).protocol(), Protocol::DROPBOX);
    }
}
