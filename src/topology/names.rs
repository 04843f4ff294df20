//! The names of the members of a map. Most maps have one of a few sets of names: those are kept
//! once for all of them, so that a map costs no more than its values.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

/// The name of a member. Those that the agent makes itself cost no memory.
pub type Key = Cow<'static, str>;

/// Sets of names that are kept for sharing. A new one takes the place of the one that happens to
/// be where it belongs; maps that have that one keep it.
const MAX_SETS: usize = 1 << 9;

/// Names of the largest set that is kept for sharing.
const MAX_NAMES: usize = 64;

/// Names in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Names(Option<Rc<Vec<Key>>>);

thread_local! {
    static SETS: RefCell<Vec<Option<Rc<Vec<Key>>>>> = const { RefCell::new(Vec::new()) };
}

impl Names {
    /// Where the name is, or where it would have to be.
    pub(super) fn find(&self, name: &str) -> Result<usize, usize> {
        self.as_slice().binary_search_by(|known| known.as_ref().cmp(name))
    }

    pub(super) fn insert(&mut self, at: usize, name: Key) {
        let names = Rc::make_mut(self.0.get_or_insert_default());
        if at <= names.len() {
            names.insert(at, name);
        }
    }

    pub(super) fn remove(&mut self, at: usize) {
        let Some(names) = &mut self.0 else { return };
        if at < names.len() {
            Rc::make_mut(names).remove(at);
        }
        if names.is_empty() {
            self.0 = None;
        }
    }

    /// Shares the names with other maps that have the same, if all of them are the agent's own:
    /// what clients think up is not kept for longer than their maps.
    pub(super) fn share(&mut self) {
        let Some(names) = &mut self.0 else { return };
        // Those that are shared already came from here, or soon will.
        if Rc::strong_count(names) > 1 {
            return;
        }
        if names.len() <= MAX_NAMES && is_own(names) {
            SETS.with_borrow_mut(|sets| {
                sets.resize(MAX_SETS, None);
                let Some(place) = sets.get_mut(place_of(names)) else { return };
                match place {
                    Some(known) if known == names => *names = Rc::clone(known),
                    _ => {
                        Rc::make_mut(names).shrink_to_fit();
                        *place = Some(Rc::clone(names));
                    }
                }
            });
        } else {
            Rc::make_mut(names).shrink_to_fit();
        }
    }

    pub(super) fn as_slice(&self) -> &[Key] {
        self.0.as_deref().map(Vec::as_slice).unwrap_or_default()
    }

    /// Bytes of memory, roughly, that a map has for itself.
    pub(super) fn weight(&self) -> usize {
        let names = self.as_slice();
        if is_own(names) {
            return 0;
        }
        let own = names.len().saturating_mul(size_of::<Key>());
        names.iter().map(|name| name.len()).fold(own, usize::saturating_add)
    }

    /// The same beside another map.
    pub(super) fn weight_beside(&self, newer: &Self) -> usize {
        match (&self.0, &newer.0) {
            (Some(old), Some(new)) if Rc::ptr_eq(old, new) => 0,
            _ => self.weight(),
        }
    }
}

fn is_own(names: &[Key]) -> bool {
    names.iter().all(|name| matches!(name, Cow::Borrowed(_)))
}

/// Nobody outside chooses these names, so that a plain hash will do (FNV-1a).
fn place_of(names: &[Key]) -> usize {
    let octets = names.iter().flat_map(|name| name.bytes().chain([0]));
    let hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    // The upper bits are the better ones.
    usize::try_from(hash >> 32).unwrap_or(0) & (MAX_SETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&'static str]) -> Names {
        let mut names = Names::default();
        for name in of {
            let at = names.find(name).unwrap_err();
            names.insert(at, Cow::Borrowed(name));
        }
        names
    }

    fn are_one(one: &Names, other: &Names) -> bool {
        Rc::ptr_eq(one.0.as_ref().unwrap(), other.0.as_ref().unwrap())
    }

    #[test]
    fn the_same_names_are_there_once() {
        let (mut one, mut other) = (names(&["MTU", "Name"]), names(&["Name", "MTU"]));
        one.share();
        other.share();
        assert!(are_one(&one, &other));
        assert_eq!(one.weight(), 0);
        // What changes leaves the others as they are.
        other.remove(0);
        assert_eq!((one.as_slice().len(), other.as_slice().len()), (2, 1));
        other.remove(0);
        assert_eq!(other, Names::default());
    }

    #[test]
    fn names_of_clients_are_kept_by_their_maps_alone() {
        let made = || {
            let mut names = names(&["Name"]);
            names.insert(1, Cow::Owned("x".repeat(100)));
            names.share();
            names
        };
        let (one, other) = (made(), made());
        assert!(one == other && !are_one(&one, &other));
        assert!(one.weight() > 100);
        assert_eq!(one.weight_beside(&one.clone()), 0);
    }
}
