//! Suffixes of host names in one pool, written from their ends and sorted: a lookup is a binary
//! search for each label, the longest suffix first.

/// Octets of a host name that are looked at: its last ones.
const MAX_HOST: usize = 256;

/// Bits by which most suffixes that are not known are told without a search.
const BITS: usize = 1 << 16;

/// Suffixes and their applications.
#[derive(Debug, Default)]
pub(super) struct Domains {
    /// Suffixes in lower case, backwards.
    pool: Vec<u8>,
    /// Sorted by their text once [`Self::sort`] was called.
    entries: Vec<Entry>,
    /// A bit for each hash of an entry's text.
    known: Vec<u64>,
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
        let tables = size_of_val(&*self.entries).saturating_add(size_of_val(&*self.known));
        self.pool.capacity().saturating_add(tables)
    }

    /// Puts them in order; of two that are equal the later one counts.
    pub(super) fn sort(&mut self) {
        let pool = std::mem::take(&mut self.pool);
        self.entries.sort_by(|a, b| a.text(&pool).cmp(b.text(&pool)));
        self.entries.reverse();
        self.entries.dedup_by(|a, b| a.text(&pool) == b.text(&pool));
        self.entries.reverse();
        self.known = vec![0; BITS / 64];
        for entry in &self.entries {
            let (word, bit) = place(entry.text(&pool).iter().fold(SEED, hash));
            if let Some(word) = self.known.get_mut(word) {
                *word |= bit;
            }
        }
        self.pool = pool;
        self.pool.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    /// The application of the longest suffix of a name, and that suffix, in any case; whole labels
    /// alone.
    pub(super) fn find<'a>(&self, host: &'a str) -> Option<(u16, &'a str)> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let (mut folded, mut sum) = ([0; MAX_HOST], SEED);
        // Ends of suffixes that may be known, the shortest first.
        let (mut ends, mut count) = ([0_u8; MAX_LABELS], 0);
        let mut note = |sum, len| {
            let (word, bit) = place(sum);
            if self.known.get(word).is_some_and(|word| word & bit != 0)
                && let Some(end) = ends.get_mut(count)
            {
                *end = len;
                count = count.saturating_add(1);
            }
        };
        let octets = host.as_bytes();
        let mut len = 0_u8;
        for (octet, to) in octets.iter().rev().zip(&mut folded) {
            if *octet == b'.' {
                note(sum, len);
            }
            *to = octet.to_ascii_lowercase();
            sum = hash(sum, to);
            // There is room for no more than it counts.
            len = len.wrapping_add(1);
        }
        if let Ok(len) = u8::try_from(octets.len()) {
            note(sum, len);
        }
        ends.get(..count).unwrap_or_default().iter().rev().find_map(|len| {
            let suffix = folded.get(..usize::from(*len))?;
            let found = self.entries.binary_search_by(|e| e.text(&self.pool).cmp(suffix)).ok()?;
            let application = self.entries.get(found)?.application;
            Some((application, host.get(host.len().saturating_sub(suffix.len())..)?))
        })
    }
}

/// Labels of a host name that are looked at; more than a name may have (RFC 1035, 2.3.4).
const MAX_LABELS: usize = 128;

/// Where a hash begins (FNV-1a).
const SEED: u32 = 0x811c_9dc5;

fn hash(sum: u32, octet: &u8) -> u32 {
    (sum ^ u32::from(*octet)).wrapping_mul(0x0100_0193)
}

/// The word and the bit of a hash.
fn place(sum: u32) -> (usize, u64) {
    let at = (sum ^ sum >> 16) & 0xffff;
    (usize::try_from(at >> 6).unwrap_or_default(), 1 << (at & 63))
}

impl Entry {
    fn text<'a>(&self, pool: &'a [u8]) -> &'a [u8] {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        pool.get(at..).and_then(|rest| rest.get(..usize::from(self.len))).unwrap_or_default()
    }
}
