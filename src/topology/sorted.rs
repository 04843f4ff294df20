//! A map for the few entries that most interfaces have of a kind: in one piece of memory that is
//! no larger than they are. A tree would take its smallest node for each, and two kilobytes of code
//! for each kind; this one moves entries to make room, so it is not for thousands.

/// Entries in the order of their keys.
#[derive(Clone, Debug)]
pub struct Sorted<K, V> {
    entries: Vec<(K, V)>,
}

/// Below this many entries there is no room for more than there are.
const FEW: usize = 8;

impl<K: Ord, V> Sorted<K, V> {
    /// Sets the value of a key; the one it had comes back.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.entries.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => self.entries.get_mut(at).map(|(_, old)| std::mem::replace(old, value)),
            Err(at) => {
                if self.entries.len() < FEW {
                    self.entries.reserve_exact(1);
                }
                self.entries.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes out a key with its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.entries.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        Some(self.entries.remove(at).1)
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let at = self.entries.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        self.entries.get(at).map(|(_, value)| value)
    }

    /// The value of a key, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.entries.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    /// Keeps what `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.entries.retain(|(key, value)| keep(key, value));
    }

    /// Whether there is that key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.entries.binary_search_by(|(known, _)| known.cmp(key)).is_ok()
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// Values in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// The same, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Whether there is no entry.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_in_order_and_take_no_more_room_than_they_need() {
        let mut map = Sorted::default();
        for key in [5, 1, 3] {
            assert_eq!(map.insert(key, key * 10), None);
        }
        assert_eq!(map.entries.capacity(), 3);
        assert_eq!(map.insert(3, 31), Some(30));
        let keys: Vec<i32> = map.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, [1, 3, 5]);
        assert_eq!((map.get(&5), map.get(&4)), (Some(&50), None));
        assert!(map.contains_key(&5) && !map.contains_key(&4));
        assert_eq!((map.remove(&1), map.remove(&1)), (Some(10), None));
        map.retain(|_, value| *value == 31);
        assert_eq!(map.len(), 1);
    }
}
