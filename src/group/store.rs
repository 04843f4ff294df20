//! The groups in memory: who is in which, and which groups hold an address. One index serves
//! all groups, so a lookup costs the same with one group as with all of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::ops::Bound;

use super::address::{Entry, bits, host_length, mask};

/// How much the groups may hold; what would go beyond is refused as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Groups at once.
    pub groups: usize,
    /// Members over all groups; an address in two groups counts twice.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { groups: 256, entries: 65_536 }
    }
}

/// Names a group as long as it exists.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Id(u16);

/// Why the groups were not changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// It would exceed [`Limits`].
    Limit,
    /// A name that no group can have.
    Name,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Limit => "too many groups or addresses",
            Self::Name => "not a name for a group",
        })
    }
}

/// Whether a group can have this name: `[A-Za-z0-9_.-]{1,64}`, not starting with a dot. It
/// becomes part of a file name.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed)
}

/// One group.
#[derive(Debug, Default)]
pub struct Group {
    id: u16,
    members: BTreeSet<Entry>,
    /// The file that it came from or was saved to; none for a group of memory alone.
    pub file: Option<String>,
    /// Whether `file` holds the same members.
    pub saved: bool,
}

impl Group {
    /// Members in canonical order.
    pub fn members(&self) -> impl Iterator<Item = Entry> {
        self.members.iter().copied()
    }

    /// The members that follow `after` in canonical order; all of them for `None`. Holding on to
    /// the last one seen makes a listing that survives changes.
    pub fn members_after(&self, after: Option<Entry>) -> impl Iterator<Item = Entry> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.members.range((from, Bound::Unbounded)).copied()
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// All groups.
#[derive(Debug, Default)]
pub struct Store {
    limits: Limits,
    by_name: BTreeMap<String, Group>,
    /// Names by id, so that a lookup's answer can be named.
    names: Vec<Option<String>>,
    /// Hosts and hardware addresses. `HashMap`'s own state is keyed at random per process.
    hosts: HashMap<Entry, Holders>,
    /// Prefixes of IPv4 and IPv6 by their bits, then length: those that contain an address stand
    /// before it.
    networks: [BTreeMap<(u128, u8), Holders>; 2],
    entries: usize,
    generation: u64,
}

impl Store {
    /// No groups yet, and room for that many.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Changes the limits; what is already there stays even if it is more.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Makes the group if it is new.
    ///
    /// # Errors
    /// [`Error`]; nothing was changed.
    pub fn create(&mut self, name: &str) -> Result<&mut Group, Error> {
        if !is_name(name) {
            return Err(Error::Name);
        }
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= self.limits.groups {
                return Err(Error::Limit);
            }
            let free = self.names.iter().position(Option::is_none).unwrap_or(self.names.len());
            let id = u16::try_from(free).map_err(|_| Error::Limit)?;
            match self.names.get_mut(free) {
                Some(slot) => *slot = Some(name.to_owned()),
                None => self.names.push(Some(name.to_owned())),
            }
            self.by_name.insert(name.to_owned(), Group { id, ..Group::default() });
            self.changed();
        }
        self.by_name.get_mut(name).ok_or(Error::Name)
    }

    /// Adds members to a group, made if it is new; says how many were not there before.
    ///
    /// # Errors
    /// [`Error`]; nothing was changed.
    pub fn add(&mut self, name: &str, entries: &[Entry]) -> Result<usize, Error> {
        let known = self.by_name.get(name);
        let fresh: BTreeSet<Entry> = entries
            .iter()
            .filter(|entry| known.is_none_or(|group| !group.members.contains(entry)))
            .copied()
            .collect();
        if self.entries.saturating_add(fresh.len()) > self.limits.entries {
            return Err(Error::Limit);
        }
        let group = self.create(name)?;
        let id = group.id;
        if fresh.is_empty() {
            return Ok(0);
        }
        group.saved = false;
        group.members.extend(&fresh);
        for entry in &fresh {
            self.index(*entry, id);
        }
        self.entries = self.entries.saturating_add(fresh.len());
        self.changed();
        Ok(fresh.len())
    }

    /// Takes exactly this member out of a group; `false` if it was not in there. The group stays
    /// even when it is empty.
    pub fn remove(&mut self, name: &str, entry: Entry) -> bool {
        let Some(group) = self.by_name.get_mut(name) else {
            return false;
        };
        if !group.members.remove(&entry) {
            return false;
        }
        group.saved = false;
        let id = group.id;
        self.unindex(entry, id);
        self.entries = self.entries.saturating_sub(1);
        self.changed();
        true
    }

    /// Forgets a group; `false` if there is none of that name.
    pub fn flush(&mut self, name: &str) -> bool {
        let Some(group) = self.by_name.remove(name) else {
            return false;
        };
        for entry in &group.members {
            self.unindex(*entry, group.id);
        }
        if let Some(slot) = self.names.get_mut(usize::from(group.id)) {
            *slot = None;
        }
        self.entries = self.entries.saturating_sub(group.len());
        self.changed();
        true
    }

    /// Replaces the members of a group, made if it is new, with those of its file.
    ///
    /// # Errors
    /// [`Error`]; nothing was changed.
    pub fn replace(&mut self, name: &str, entries: &[Entry], file: &str) -> Result<(), Error> {
        let wanted: BTreeSet<Entry> = entries.iter().copied().collect();
        let before = self.by_name.get(name).map_or(0, Group::len);
        let others = self.entries.saturating_sub(before);
        if others.saturating_add(wanted.len()) > self.limits.entries {
            return Err(Error::Limit);
        }
        let group = self.create(name)?;
        let gone: Vec<Entry> = group.members.difference(&wanted).copied().collect();
        for entry in gone {
            self.remove(name, entry);
        }
        self.add(name, entries)?;
        let group = self.create(name)?;
        group.file = Some(file.to_owned());
        group.saved = true;
        Ok(())
    }

    /// The group of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Group> {
        self.by_name.get(name)
    }

    /// The same, to note where it is saved.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Group> {
        self.by_name.get_mut(name)
    }

    /// All groups by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.by_name.iter().map(|(name, group)| (name.as_str(), group))
    }

    /// The groups from that name on.
    pub fn iter_from(&self, name: &str) -> impl Iterator<Item = (&str, &Group)> + use<'_> {
        let range = (Bound::Included(name), Bound::Unbounded);
        self.by_name.range::<str, _>(range).map(|(name, group)| (name.as_str(), group))
    }

    /// The name of a group found by [`Self::lookup`].
    #[must_use]
    pub fn name(&self, id: Id) -> Option<&str> {
        self.names.get(usize::from(id.0))?.as_deref()
    }

    /// Calls `found` for each group that holds the address itself or a network around it; a
    /// group with both is found more than once. Allocates nothing.
    pub fn matches(&self, entry: Entry, mut found: impl FnMut(Id)) {
        let (address, length) = match entry {
            Entry::Network(network) => network.parts(),
            Entry::Host(address) => (address, host_length(address)),
            Entry::Mac(_) => {
                self.hosts.get(&entry).into_iter().for_each(|h| h.each(&mut found));
                return;
            }
        };
        self.hosts.get(&entry).into_iter().for_each(|h| h.each(&mut found));
        let table = self.table(address);
        let wanted = bits(address);
        let mut length = Some(length);
        // Each step looks up the last prefix not after the first `length` bits of the address.
        // If it contains the address, only shorter ones can follow. If not, the two share fewer
        // bits than `length`, and nothing longer than what they share can contain the address,
        // for it would stand between them. So `length` shrinks, and there are 129 steps at most.
        while let Some(bound) = length {
            let key = (wanted & mask(bound), bound);
            let Some((&(prefix, long), holders)) = table.range(..=key).next_back() else {
                break;
            };
            length = if wanted & mask(long) == prefix && long <= bound {
                holders.each(&mut found);
                long.checked_sub(1)
            } else {
                let shared = (wanted ^ prefix).leading_zeros();
                u8::try_from(shared).ok().map(|shared| shared.min(bound.saturating_sub(1)))
            };
        }
    }

    /// The groups that hold the address itself or a network around it, each once.
    #[must_use]
    pub fn lookup(&self, entry: Entry) -> Vec<Id> {
        let mut ids = Vec::new();
        self.matches(entry, |id| ids.push(id));
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Changes whenever an answer of [`Self::lookup`] may: what was derived under another
    /// generation is stale.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Members over all groups.
    #[must_use]
    pub const fn entries(&self) -> usize {
        self.entries
    }

    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are no groups.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    const fn table(&self, address: IpAddr) -> &BTreeMap<(u128, u8), Holders> {
        let [v4, v6] = &self.networks;
        if address.is_ipv4() { v4 } else { v6 }
    }

    const fn table_mut(&mut self, address: IpAddr) -> &mut BTreeMap<(u128, u8), Holders> {
        let [v4, v6] = &mut self.networks;
        if address.is_ipv4() { v4 } else { v6 }
    }

    fn index(&mut self, entry: Entry, id: u16) {
        let one = Holders::One(id);
        match entry {
            Entry::Host(_) | Entry::Mac(_) => {
                self.hosts.entry(entry).and_modify(|h| h.insert(id)).or_insert(one);
            }
            Entry::Network(network) => {
                let (address, length) = network.parts();
                let key = (bits(address), length);
                self.table_mut(address).entry(key).and_modify(|h| h.insert(id)).or_insert(one);
            }
        }
    }

    fn unindex(&mut self, entry: Entry, id: u16) {
        match entry {
            Entry::Host(_) | Entry::Mac(_) => {
                if self.hosts.get_mut(&entry).is_some_and(|h| h.remove(id)) {
                    self.hosts.remove(&entry);
                }
                // A big group that is gone gives its memory back.
                if self.hosts.capacity() > 1_024 && self.hosts.len() < self.hosts.capacity() / 8 {
                    self.hosts.shrink_to(self.hosts.len().saturating_mul(2));
                }
            }
            Entry::Network(network) => {
                let (address, length) = network.parts();
                let key = (bits(address), length);
                let table = self.table_mut(address);
                if table.get_mut(&key).is_some_and(|h| h.remove(id)) {
                    table.remove(&key);
                }
            }
        }
    }

    const fn changed(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }
}

/// The groups that hold one address: nearly always a single one. Boxed once more so that the
/// common case stays small.
#[derive(Debug)]
enum Holders {
    One(u16),
    #[expect(clippy::box_collection, reason = "24 bytes less for each address of one group")]
    Many(Box<Vec<u16>>),
}

impl Holders {
    fn insert(&mut self, id: u16) {
        match self {
            Self::One(one) if *one == id => {}
            Self::One(one) => *self = Self::Many(Box::new(Vec::from([*one, id]))),
            Self::Many(many) if many.contains(&id) => {}
            Self::Many(many) => many.push(id),
        }
    }

    /// Takes a group out; `true` if none is left.
    fn remove(&mut self, id: u16) -> bool {
        match self {
            Self::One(one) => *one == id,
            Self::Many(many) => {
                many.retain(|held| *held != id);
                many.is_empty()
            }
        }
    }

    fn each(&self, found: &mut impl FnMut(Id)) {
        match self {
            Self::One(one) => found(Id(*one)),
            Self::Many(many) => many.iter().for_each(|id| found(Id(*id))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(text: &str) -> Entry {
        Entry::parse(text).unwrap()
    }

    fn add(store: &mut Store, group: &str, texts: &[&str]) -> Result<usize, Error> {
        let entries: Vec<Entry> = texts.iter().map(|text| entry(text)).collect();
        store.add(group, &entries)
    }

    fn found(store: &Store, text: &str) -> Vec<String> {
        let ids = store.lookup(entry(text));
        let mut names: Vec<String> =
            ids.into_iter().map(|id| store.name(id).unwrap().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_address_is_found_by_itself_and_by_every_network_around_it() {
        let mut store = Store::default();
        add(&mut store, "a", &["10.0.0.0/8", "10.1.2.3", "aa:bb:cc:dd:ee:ff"]).unwrap();
        add(&mut store, "b", &["10.1.0.0/16", "10.1.2.0/24", "10.1.3.0/24"]).unwrap();
        add(&mut store, "c", &["0.0.0.0/0", "2001:db8::/32", "10.1.2.3"]).unwrap();
        assert_eq!(found(&store, "10.1.2.3"), ["a", "b", "c"]);
        assert_eq!(found(&store, "10.2.0.0"), ["a", "c"]);
        assert_eq!(found(&store, "11.0.0.0"), ["c"]);
        assert_eq!(found(&store, "2001:db8::5"), ["c"]);
        assert_eq!(found(&store, "2001:db9::5"), Vec::<String>::new());
        assert_eq!(found(&store, "AA-BB-CC-DD-EE-FF"), ["a"]);
        assert_eq!(found(&store, "10.1.2.0/25"), ["a", "b", "c"]);
        assert_eq!(found(&store, "10.0.0.0/7"), ["c"]);
    }

    #[test]
    fn only_exactly_what_is_named_is_removed() {
        let mut store = Store::default();
        add(&mut store, "g", &["10.0.0.0/8", "10.1.2.0/24"]).unwrap();
        assert!(!store.remove("g", entry("10.1.0.0/16")));
        assert!(!store.remove("g", entry("10.1.2.3")));
        assert!(!store.remove("other", entry("10.0.0.0/8")));
        assert!(store.remove("g", entry("10.1.2.99/24")));
        assert_eq!(found(&store, "10.1.2.3"), ["g"]);
        assert!(store.remove("g", entry("10.0.0.0/8")));
        assert!(found(&store, "10.1.2.3").is_empty());
        assert!(store.get("g").unwrap().is_empty(), "an emptied group stays");
        assert!(store.flush("g") && !store.flush("g"));
        assert_eq!((store.len(), store.entries()), (0, 0));
    }

    #[test]
    fn adding_again_changes_nothing() {
        let mut store = Store::default();
        assert_eq!(add(&mut store, "g", &["10.0.0.1", "10.0.0.1/32"]), Ok(1));
        store.get_mut("g").unwrap().saved = true;
        let generation = store.generation();
        assert_eq!(add(&mut store, "g", &["10.0.0.1"]), Ok(0));
        assert!(store.get("g").unwrap().saved && store.generation() == generation);
        assert_eq!(add(&mut store, "g", &["10.0.0.2"]), Ok(1));
        assert!(!store.get("g").unwrap().saved && store.generation() != generation);
    }

    #[test]
    fn what_exceeds_a_limit_changes_nothing() {
        let mut store = Store::new(Limits { groups: 2, entries: 3 });
        add(&mut store, "a", &["10.0.0.1", "10.0.0.2"]).unwrap();
        assert_eq!(add(&mut store, "a", &["10.0.0.3", "10.0.0.4"]), Err(Error::Limit));
        assert_eq!(add(&mut store, "b", &["10.0.0.3", "10.0.0.4"]), Err(Error::Limit));
        assert_eq!((store.len(), store.entries()), (1, 2));
        add(&mut store, "b", &["10.0.0.1"]).unwrap();
        assert_eq!(add(&mut store, "c", &[]), Err(Error::Limit));
        assert_eq!(add(&mut store, "b", &["10.0.0.1"]), Ok(0), "at the limit, but not beyond");
        assert!(store.replace("a", &[entry("::1"), entry("::2"), entry("::3")], "f").is_err());
        assert_eq!(store.get("a").unwrap().len(), 2);
        store.flush("a");
        add(&mut store, "c", &["10.0.0.9"]).unwrap();
        assert_eq!(found(&store, "10.0.0.1"), ["b"], "an id used again misleads nobody");
    }

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        for good in ["printers", "a", "A-b_c.d", "-rf", "..x".trim_start_matches('.')] {
            assert!(is_name(good), "{good}");
        }
        let long = "x".repeat(65);
        for wrong in
            ["", ".", "..", ".x", "../../etc/passwd", "a/b", "a b", "a\0", "ä", "а", &long, "a\n"]
        {
            assert!(!is_name(wrong), "{wrong:?}");
            assert_eq!(Store::default().create(wrong).unwrap_err(), Error::Name);
        }
        assert!(is_name(&long[..64]));
    }

    #[test]
    fn a_listing_goes_on_where_it_stopped_whatever_changed() {
        let mut store = Store::default();
        add(&mut store, "g", &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]).unwrap();
        let first: Vec<Entry> = store.get("g").unwrap().members_after(None).take(2).collect();
        store.remove("g", entry("10.0.0.2"));
        let rest: Vec<Entry> =
            store.get("g").unwrap().members_after(first.last().copied()).collect();
        assert_eq!(rest, [entry("10.0.0.3"), entry("10.0.0.4")]);
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        // Few bits, so that prefixes contain each other often.
        let v4 = (0_u32..16, 0_u8..=4, 0_u8..=28).prop_map(|(n, shorter, base)| {
            let address = std::net::Ipv4Addr::from_bits(n << base);
            Entry::of(address.into(), 32_u8.saturating_sub(base).saturating_sub(shorter)).unwrap()
        });
        let v6 = (any::<u128>(), 0_u8..=128).prop_map(|(n, length)| {
            let address =
                std::net::Ipv6Addr::from_bits(n & 0xf000_0000_0000_0000_0000_0000_0000_000f);
            Entry::of(address.into(), length).unwrap()
        });
        prop_oneof![v4, v6]
    }

    fn contains(outer: Entry, inner: Entry) -> bool {
        let parts = |entry| match entry {
            Entry::Host(address) => (address, host_length(address)),
            Entry::Network(network) => network.parts(),
            Entry::Mac(_) => unreachable!(),
        };
        let ((a, long), (b, longer)) = (parts(outer), parts(inner));
        a.is_ipv4() == b.is_ipv4() && long <= longer && bits(b) & mask(long) == bits(a)
    }

    proptest! {
        #[test]
        fn lookup_agrees_with_trying_every_member(
            members in proptest::collection::vec((0_u8..4, any_entry()), 0..60),
            removed in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
            asked in proptest::collection::vec(any_entry(), 20),
        ) {
            let mut store = Store::default();
            let mut model: BTreeSet<(String, Entry)> = BTreeSet::new();
            for (group, entry) in &members {
                let name = format!("g{group}");
                store.add(&name, &[*entry]).unwrap();
                model.insert((name, *entry));
            }
            for index in removed.iter().filter(|_| !members.is_empty()) {
                let (group, entry) = index.get(&members);
                let name = format!("g{group}");
                let was = model.remove(&(name.clone(), *entry));
                prop_assert_eq!(store.remove(&name, *entry), was);
            }
            prop_assert_eq!(store.entries(), model.len());
            for asked in asked.iter().chain(members.iter().map(|(_, entry)| entry)) {
                let expected: BTreeSet<String> = model
                    .iter()
                    .filter(|(_, member)| contains(*member, *asked))
                    .map(|(name, _)| name.clone())
                    .collect();
                let found: BTreeSet<String> = store
                    .lookup(*asked)
                    .into_iter()
                    .map(|id| store.name(id).unwrap().to_owned())
                    .collect();
                prop_assert_eq!(found, expected, "{}", asked);
            }
        }
    }
}
