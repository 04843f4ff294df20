//! Universally unique identifiers (RFC 9562), random ones and those made from names.

use std::fmt;

use sha1::{Digest as _, Sha1};

/// The namespace of ISO object identifiers: what names of the topology are hashed under.
pub const OID: Uuid = Uuid([
    0x6b, 0xa7, 0xb8, 0x12, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8,
]);

/// A universally unique identifier.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Version 4: of random bytes.
    #[must_use]
    pub const fn random(bytes: [u8; 16]) -> Self {
        Self(bytes).marked(4)
    }

    /// Version 5: of a name within a namespace, by SHA-1. `parts` are hashed one after another.
    #[must_use]
    pub fn named(namespace: Self, parts: &[&str]) -> Self {
        let mut hash = Sha1::new();
        hash.update(namespace.0);
        for part in parts {
            hash.update(part.as_bytes());
        }
        let digest: [u8; 20] = hash.finalize().into();
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(digest) {
            *to = from;
        }
        Self(bytes).marked(5)
    }

    /// With the bits that tell version and variant.
    const fn marked(self, version: u8) -> Self {
        let mut bytes = self.0;
        let [_, _, _, _, _, _, kind, _, variant, ..] = &mut bytes;
        *kind = *kind & 0x0f | version << 4;
        *variant = *variant & 0x3f | 0x80;
        Self(bytes)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_topology_have_the_ids_that_others_give_them() {
        // The vectors of host `router1` that Skydive agents compute.
        let host = Uuid::named(OID, &["router1"]).to_string();
        assert_eq!(host, "8af03d07-11bb-5da4-80b0-e4cf758c479d");
        let space = Uuid::named(OID, &[&host, "/var/run/netns/vm1", "netns"]).to_string();
        assert_eq!(space, "65e3ceee-1556-5fa9-9e77-da0514f0edc6");
        let bridge = Uuid::named(OID, &[&host, "br-lan", "bridge"]).to_string();
        assert_eq!(bridge, "42af79f5-693f-5bb8-8a69-e8dcb8033e8d");
        let veth = Uuid::named(OID, &[&space, "eth0", "veth"]).to_string();
        assert_eq!(veth, "1a67b4f7-436e-57ba-8902-177ca42e5c49");
    }

    #[test]
    fn random_ones_are_of_version_four() {
        assert_eq!(Uuid::random([0xff; 16]).to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
