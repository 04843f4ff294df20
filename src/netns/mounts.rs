//! Files that namespaces are mounted on, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)):
//! what `ip netns add` makes, and what keeps a namespace without a process alive.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::process::namespace_of;

/// A file that a network namespace is mounted on.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Mount {
    /// The number of the namespace.
    pub inode: u64,
    /// Where.
    pub path: PathBuf,
}

impl Mount {
    /// Reads one line; `None` for all other mounts.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut words = line.split(|b| *b == b' ');
        // Id, parent, device, root, mount point, options and optional fields up to a hyphen.
        let inode = namespace_of(words.nth(3)?, "net")?;
        let path = words.next()?;
        words.find(|word| *word == b"-")?;
        let is_namespace = words.next()? == b"nsfs";
        is_namespace.then(|| Self { inode, path: PathBuf::from(OsString::from_vec(plain(path))) })
    }
}

/// Blanks, line breaks and backslashes are written as three octal digits.
fn plain(mut text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    while let Some((first, rest)) = text.split_first() {
        let digit = |b: u8| b.checked_sub(b'0').filter(|digit| *digit < 8);
        if *first == b'\\'
            && let Some(([a, b, c], after)) = rest.split_first_chunk()
            && let (Some(a @ 0..=3), Some(b), Some(c)) = (digit(*a), digit(*b), digit(*c))
        {
            out.push(a << 6 | b << 3 | c);
            text = after;
        } else {
            out.push(*first);
            text = rest;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<(u64, String)> {
        let mount = Mount::parse(line.as_bytes())?;
        Some((mount.inode, mount.path.into_os_string().into_string().unwrap()))
    }

    #[test]
    fn namespaces_among_mounts_are_found() {
        let line = "412 26 0:4 net:[4026532317] /run/netns/vpn rw shared:5 - nsfs nsfs rw";
        assert_eq!(parse(line), Some((4_026_532_317, "/run/netns/vpn".to_owned())));
        let line = "1 2 0:4 net:[7] /run/a\\040b\\134c\\012d rw - nsfs nsfs rw";
        assert_eq!(parse(line), Some((7, "/run/a b\\c\nd".to_owned())));
    }

    #[test]
    fn other_mounts_and_nonsense_are_passed_over() {
        for line in [
            "412 26 0:4 mnt:[4026532317] /run/x rw - nsfs nsfs rw",
            "412 26 0:4 net:[1] /run/x rw - tmpfs nsfs rw",
            "412 26 0:4 / /run rw,nosuid shared:5 - tmpfs tmpfs rw",
            "412 26 0:4 net:[1] /run/x rw",
            "",
            "- - - - -",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
        assert_eq!(plain(b"\\04"), b"\\04");
        assert_eq!(plain(b"\\999\\777\\"), b"\\999\\777\\");
    }
}
