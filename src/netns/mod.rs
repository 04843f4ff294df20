//! The network namespaces of a machine and who lives in them: processes, containers, bind mounts,
//! with their interfaces, routes and sockets, as capture clients ask for them (the documents of
//! GhostWire). Plain values and parsers of what `/proc` and container runtimes write; reading
//! those is left to `io`.

pub mod cgroup;
pub mod document;
pub mod interface;
pub mod lookup;
pub mod machine;
pub mod mounts;
pub mod process;
pub mod resolver;
pub mod runtime;
pub mod services;
pub mod sockets;
pub mod targets;
pub mod tenants;
mod text;

pub use machine::{Depth, Machine};

/// Octets of a name: of a process, a container, a mount.
pub const MAX_NAME: usize = 255;

/// A name as others may have made it up, for documents: valid text, not longer than
/// [`MAX_NAME`].
#[must_use]
pub fn name_of(bytes: &[u8]) -> Box<str> {
    clamp(&String::from_utf8_lossy(bytes.get(..MAX_NAME).unwrap_or(bytes)), MAX_NAME).into()
}

/// The beginning of a text, not longer than `most` octets.
#[must_use]
pub fn clamp(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_valid_text_of_bounded_length_whatever_it_was() {
        assert_eq!(&*name_of(b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
        let long = "ü".repeat(200);
        assert_eq!(name_of(long.as_bytes()).len(), 254);
        assert!(name_of(&[0xff; 1_000]).len() <= MAX_NAME);
    }
}
