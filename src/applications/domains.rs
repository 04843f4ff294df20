//! Suffixes of host names in one pool, sorted from their ends: a lookup is a binary search for
//! each label, the longest suffix first.

use std::cmp::Ordering;

/// Suffixes and their applications.
#[derive(Debug, Default)]
pub(super) struct Domains {
    pool: Vec<u8>,
    /// Sorted by the reversed text once [`Self::sort`] was called.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u32,
    len: u8,
    application: u16,
}

impl Domains {
    /// Adds a suffix of at most 253 octets.
    pub(super) fn push(&mut self, suffix: &str, application: u16) {
        let (Ok(at), Ok(len)) = (u32::try_from(self.pool.len()), u8::try_from(suffix.len())) else {
            return;
        };
        self.pool.extend_from_slice(suffix.as_bytes());
        self.entries.push(Entry { at, len, application });
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Octets that they take.
    #[cfg(test)]
    pub(super) fn octets(&self) -> usize {
        self.pool.capacity().saturating_add(size_of_val(self.entries.as_slice()))
    }

    /// Puts them in order; of two that are equal the later one counts.
    pub(super) fn sort(&mut self) {
        let pool = std::mem::take(&mut self.pool);
        self.entries.sort_by(|a, b| by_end(a.text(&pool), b.text(&pool)));
        self.entries.reverse();
        self.entries.dedup_by(|a, b| a.text(&pool) == b.text(&pool));
        self.entries.reverse();
        self.pool = pool;
        self.pool.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    /// The application of the longest suffix of a name, and that suffix, in any case; whole labels
    /// alone.
    pub(super) fn find<'a>(&self, host: &'a str) -> Option<(u16, &'a str)> {
        let mut rest = host.strip_suffix('.').unwrap_or(host);
        loop {
            let suffix = rest.as_bytes();
            let found = self.entries.binary_search_by(|e| by_end(e.text(&self.pool), suffix));
            if let Some(entry) = found.ok().and_then(|at| self.entries.get(at)) {
                return Some((entry.application, rest));
            }
            (_, rest) = rest.split_once('.')?;
        }
    }
}

impl Entry {
    fn text<'a>(&self, pool: &'a [u8]) -> &'a [u8] {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        pool.get(at..).and_then(|rest| rest.get(..usize::from(self.len))).unwrap_or_default()
    }
}

fn by_end(a: &[u8], b: &[u8]) -> Ordering {
    let mut pairs = a.iter().rev().zip(b.iter().rev());
    let differing = pairs.find(|(x, y)| !x.eq_ignore_ascii_case(y));
    match differing {
        Some((x, y)) => x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase()),
        None => a.len().cmp(&b.len()),
    }
}
