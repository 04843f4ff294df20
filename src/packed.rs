//! Longer texts that lie packed in the program: flash is dearer than the moment it takes to unpack
//! them. `packed/build.rs` packs them when the program is built; whose they are is not known here.

use std::sync::OnceLock;

/// A text that is unpacked when it is asked for first, and kept.
#[derive(Debug)]
pub struct Packed {
    packed: &'static [u8],
    text: OnceLock<String>,
}

impl Packed {
    /// Of what the build has packed.
    #[must_use]
    pub const fn new(packed: &'static [u8]) -> Self {
        Self { packed, text: OnceLock::new() }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| unpack(self.packed))
    }
}

/// What the build has packed, for whoever keeps it in a form of their own.
#[must_use]
pub fn unpack(packed: &[u8]) -> String {
    // It was packed with the program: it is whole, and no larger than this.
    let octets = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, 1 << 20);
    octets.ok().and_then(|octets| String::from_utf8(octets).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_was_packed() {
        static TEXT: Packed = Packed::new(include_bytes!(concat!(env!("OUT_DIR"), "/traces.txt")));
        assert_eq!(TEXT.text(), include_str!("core/devices/traces.txt"));
    }
}
