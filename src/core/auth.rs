//! Who asks, what they may do, and whether a secret is the right one.

use subtle::ConstantTimeEq as _;

/// The right that a command needs. Each includes the ones before it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Right {
    /// Look at flows, interfaces and counters.
    Read,
    /// See payload: start and read captures.
    Capture,
    /// Change something.
    Admin,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The most that the caller may do.
    pub right: Right,
}

/// The longest password that is taken, in octets.
pub const MAX_PASSWORD: usize = 128;

/// Whether `given` is `secret`, in a time that depends on neither: both are compared over the
/// full [`MAX_PASSWORD`] octets. An empty secret matches nothing.
#[must_use]
pub fn matches(secret: &[u8], given: &[u8]) -> bool {
    let same = padded(secret).ct_eq(&padded(given));
    let length = (secret.len() as u64).ct_eq(&(given.len() as u64));
    bool::from(same & length) && !secret.is_empty() && secret.len() <= MAX_PASSWORD
}

fn padded(secret: &[u8]) -> [u8; MAX_PASSWORD] {
    let mut block = [0; MAX_PASSWORD];
    for (to, from) in block.iter_mut().zip(secret) {
        *to = *from;
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_password_matches() {
        assert!(matches(b"n2n", b"n2n"));
        for wrong in ["", "n2", "n2n\0", "n2nn", "N2N"] {
            assert!(!matches(b"n2n", wrong.as_bytes()), "{wrong:?}");
        }
        assert!(!matches(b"", b""));
        let long = [b'x'; 200];
        assert!(!matches(&long, &long));
        assert!(matches(&[b'x'; 128], &[b'x'; 128]));
    }
}
