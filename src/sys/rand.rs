#![allow(unsafe_code)]
//! Random bytes from the kernel, for identifiers and seeds.

use std::io;

use crate::sys::socket;

/// Fills `bytes`.
///
/// # Errors
///
/// `WouldBlock` early after the start of a machine without a hardware source: a router may take
/// minutes to gather entropy, and the loop must not wait for it.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let got = socket::retry(|| {
            let (pointer, len) = (rest.as_mut_ptr().cast(), rest.len());
            // SAFETY: the pointer and the length describe one live slice.
            socket::check_len(unsafe { libc::getrandom(pointer, len, libc::GRND_NONBLOCK) })
        })?;
        rest = rest.get_mut(got..).unwrap_or_default();
    }
    Ok(())
}

/// A random number; early after the start of the machine at least one that differs each time.
#[must_use]
pub fn number() -> u64 {
    let mut bytes = [0; 8];
    match fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => {
            use std::hash::{BuildHasher as _, RandomState};
            RandomState::new().hash_one(crate::sys::clock::tick().0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_fills_differ() {
        let (mut a, mut b) = ([0; 300], [0; 300]);
        fill(&mut a).unwrap();
        fill(&mut b).unwrap();
        assert_ne!(a, b);
        assert_ne!(number(), number());
    }
}
