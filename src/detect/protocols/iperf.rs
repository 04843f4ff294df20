//! iperf 3 (`iperf_api.h`): first a cookie of 36 letters and digits of base 32 and a zero.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::IPERF, &[5201], dissect).bound();

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if !view.has_port(5201) || view.len > 37 {
        return Verdict::No;
    }
    let Some((zero, cookie)) = view.data.split_last().filter(|_| view.len == 37) else {
        return Verdict::No;
    };
    let found = *zero == 0 && cookie.iter().all(|octet| matches!(octet, b'a'..=b'z' | b'2'..=b'7'));
    Verdict::when(found, Protocol::IPERF)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_cookie_comes_first() {
        let cookie = b"abcdefghijklmnopqrstuvwxyz234567abcd\0";
        assert_eq!(Talk::tcp(5201).client(cookie).protocol(), Protocol::IPERF);
        assert_eq!(Talk::tcp(5202).client(cookie).protocol(), Protocol::UNKNOWN);
    }
}
