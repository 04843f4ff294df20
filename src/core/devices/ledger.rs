//! What is used: flows that have ended, added up by application, or by protocol where no
//! application is known, with the devices that used it.

use std::collections::HashMap;

use super::MAX_DEVICES;
use crate::flow::top::Tally;
use crate::flow::{Flow, Side};

/// Applications and protocols that are told apart; what comes later is added up as unknown.
pub const MAX_KINDS: usize = 1_024;

/// An application, or a protocol without one. Number 0 of either is unknown.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// An application by its number.
    Application(u16),
    /// A protocol by its number.
    Protocol(u16),
}

impl Kind {
    /// Of the numbers of a flow: application, protocol.
    #[must_use]
    pub const fn of((application, protocol): (u16, u16)) -> Self {
        match application {
            0 => Self::Protocol(protocol),
            application => Self::Application(application),
        }
    }
}

/// A sum over flows, and the places of the devices that had them.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Flows, packets and octets; what was sent is what the local side sent.
    pub tally: Tally,
    users: Set,
}

/// Places of devices.
#[derive(Clone, Debug, Default)]
pub struct Set([u64; MAX_DEVICES / 64]);

impl Set {
    /// Puts a place in.
    pub fn insert(&mut self, place: u16) {
        if let Some(word) = self.0.get_mut(usize::from(place >> 6)) {
            *word |= 1 << (place & 63);
        }
    }

    fn remove(&mut self, place: u16) {
        if let Some(word) = self.0.get_mut(usize::from(place >> 6)) {
            *word &= !(1 << (place & 63));
        }
    }

    /// Puts in all of another set.
    pub fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    /// How many are in.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether none is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; MAX_DEVICES / 64]
    }
}

impl Account {
    /// Adds a flow of the device in a place.
    pub fn add(&mut self, flow: &Flow, user: Option<u16>) {
        let side = flow.orientation().local().unwrap_or_else(|| flow.initiator());
        self.tally.add(&tally(flow, side));
        if let Some(place) = user {
            self.users.insert(place);
        }
    }

    /// Adds another account.
    pub fn join(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.users.join(&other.users);
    }

    /// Devices that had its flows.
    #[must_use]
    pub fn devices(&self) -> u32 {
        self.users.len()
    }
}

/// All accounts.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: HashMap<Kind, Account>,
}

impl Ledger {
    /// Adds a flow of the device in a place.
    pub fn add(&mut self, flow: &Flow, numbers: (u16, u16), user: Option<u16>) {
        let mut kind = Kind::of(numbers);
        if self.accounts.len() >= MAX_KINDS && !self.accounts.contains_key(&kind) {
            kind = Kind::Protocol(0);
        }
        self.accounts.entry(kind).or_default().add(flow, user);
    }

    /// Another device is in that place from now on.
    pub(super) fn forget(&mut self, place: u16) {
        self.accounts.values_mut().for_each(|account| account.users.remove(place));
    }

    /// All accounts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &Account)> {
        self.accounts.iter().map(|(kind, account)| (*kind, account))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }
}

/// A flow as a sum, from the point of view of one end.
#[must_use]
pub fn tally(flow: &Flow, side: Side) -> Tally {
    Tally {
        flows: 1,
        packets: flow.total_packets(),
        bytes: flow.total_bytes(),
        sent_bytes: *flow.bytes().of(side),
        sent_packets: *flow.packets().of(side),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_each_place_once() {
        let mut set = Set::default();
        for place in [0, 63, 64, 1_023, 1_023, 40_000] {
            set.insert(place);
        }
        assert_eq!(set.len(), 4);
        let mut other = Set::default();
        other.insert(5);
        set.join(&other);
        set.remove(0);
        assert_eq!(set.len(), 4);
        assert!(!set.is_empty() && Set::default().is_empty());
    }

    #[test]
    fn a_flow_without_an_application_counts_for_its_protocol() {
        assert_eq!(Kind::of((0, 7)), Kind::Protocol(7));
        assert_eq!(Kind::of((20_001, 7)), Kind::Application(20_001));
    }
}
