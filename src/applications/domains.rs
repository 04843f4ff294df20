//! Suffixes of host names in one pool, written from their ends and sorted: a lookup is a binary
//! search for each label, the longest suffix first.

/// Octets of a host name that are looked at: its last ones.
const MAX_HOST: usize = 256;

/// Suffixes and their applications.
#[derive(Debug, Default)]
pub(super) struct Domains {
    /// Suffixes in lower case, backwards.
    pool: Vec<u8>,
    /// Sorted by their text once [`Self::sort`] was called.
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
        self.pool.extend(suffix.bytes().rev().map(|byte| byte.to_ascii_lowercase()));
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
        self.entries.sort_by(|a, b| a.text(&pool).cmp(b.text(&pool)));
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
        let host = host.strip_suffix('.').unwrap_or(host);
        let mut folded = [0; MAX_HOST];
        for (to, from) in folded.iter_mut().zip(host.bytes().rev()) {
            *to = from.to_ascii_lowercase();
        }
        let mut rest = host;
        loop {
            if let Some(suffix) = folded.get(..rest.len()) {
                let found = self.entries.binary_search_by(|e| e.text(&self.pool).cmp(suffix));
                if let Some(entry) = found.ok().and_then(|at| self.entries.get(at)) {
                    return Some((entry.application, rest));
                }
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
