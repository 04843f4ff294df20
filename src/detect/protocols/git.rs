//! Git's own protocol: gitprotocol-pack(5).

use crate::detect::facts::Fact;
use crate::detect::text::{find, host};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::GIT, &[9418], dissect);

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some(head) = view.at::<4>(0) else {
        let fits = view.data.iter().all(u8::is_ascii_hexdigit);
        return if fits { Verdict::Wait } else { Verdict::No };
    };
    if !head.starts_with(b"00") || !head.iter().all(u8::is_ascii_hexdigit) {
        return Verdict::No;
    }
    let rest = view.data.get(4..).unwrap_or_default();
    if rest.len() < 4 {
        return Verdict::Wait;
    }
    // A request; or references, each with a hash before it.
    if !rest.starts_with(b"git-") {
        let hash = rest.iter().take_while(|octet| octet.is_ascii_hexdigit()).count();
        let is_list = matches!(hash, 40 | 64) && rest.get(hash) == Some(&b' ');
        return if is_list { Verdict::Is(Protocol::GIT) } else { Verdict::No };
    }
    if let Some(at) = find(rest, b"\0host=") {
        let name = rest.get(at.saturating_add(6)..).unwrap_or_default();
        let end = name.iter().position(|octet| *octet == 0).unwrap_or(name.len());
        facts.put(Fact::Host, host(name.get(..end).unwrap_or_default()));
    }
    Verdict::Is(Protocol::GIT)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_request() {
        let request = b"0033git-upload-pack /project.git\0host=git.example\0";
        let talk = Talk::tcp(19_418).client(request);
        assert_eq!(talk.protocol(), Protocol::GIT);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("git.example"));
        let talk = Talk::tcp(19_418).client(b"0033got-upload-pack /x");
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
    }
}
