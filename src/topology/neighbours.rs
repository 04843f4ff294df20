//! Who answers on the interfaces: IP address to MAC address, as the kernel's neighbour tables
//! have it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::time::Tick;
use crate::topology::links::Change;
use crate::wire::netlink;

/// Neighbours that are kept; the one not heard of for the longest time gives way.
pub const MAX_NEIGHBOURS: usize = 4_096;

/// One neighbour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Neighbour {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// NUD_ state, as the constants of [`netlink::Neighbour`].
    pub state: u16,
    /// It announced itself as a router (IPv6).
    pub router: bool,
    /// When the kernel last told something about it.
    pub last_seen: Tick,
    /// Not confirmed by the dump under way.
    stale: bool,
}

/// The table, ordered by address so that a listing can go on where it stopped.
#[derive(Debug, Default)]
pub struct Neighbours {
    entries: BTreeMap<(IpAddr, u16), Neighbour>,
    evicted: u64,
}

impl Neighbours {
    /// Takes a message about the neighbour `ip` on the interface in `slot`.
    pub(super) fn update(
        &mut self,
        slot: u16,
        ip: IpAddr,
        message: &netlink::Neighbour,
        now: Tick,
        changes: &mut Vec<Change>,
    ) {
        use netlink::Neighbour as Message;
        if message.state & (Message::FAILED | Message::NO_ARP) != 0 {
            return self.remove(slot, ip, changes);
        }
        // While it is being asked for there is no address yet, or the old one still counts.
        let Some(mac) = message.mac.filter(|mac| *mac != [0; 6]) else {
            return;
        };
        let fresh = Neighbour {
            mac,
            state: message.state,
            router: message.is_router(),
            last_seen: now,
            stale: false,
        };
        if let Some(known) = self.entries.get_mut(&(ip, slot)) {
            let from = known.mac;
            *known = fresh;
            if from != mac {
                changes.push(Change::NeighbourMoved {
                    slot,
                    ip,
                    from,
                    to: mac,
                });
            }
            return;
        }
        if self.entries.len() >= MAX_NEIGHBOURS {
            self.evict(changes);
        }
        self.entries.insert((ip, slot), fresh);
        changes.push(Change::NeighbourNew { slot, ip, mac });
    }

    pub(super) fn remove(&mut self, slot: u16, ip: IpAddr, changes: &mut Vec<Change>) {
        if let Some(Neighbour { mac, .. }) = self.entries.remove(&(ip, slot)) {
            changes.push(Change::NeighbourGone { slot, ip, mac });
        }
    }

    /// Forgets all on an interface that went away.
    pub(super) fn remove_interface(&mut self, slot: u16, changes: &mut Vec<Change>) {
        self.remove_where(changes, |at, _| at == slot);
    }

    pub(super) fn mark(&mut self) {
        for neighbour in self.entries.values_mut() {
            neighbour.stale = true;
        }
    }

    pub(super) fn sweep(&mut self, changes: &mut Vec<Change>) {
        self.remove_where(changes, |_, neighbour| neighbour.stale);
    }

    /// All of them, by address.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, u16, &Neighbour)> {
        self.entries
            .iter()
            .map(|(&(ip, slot), neighbour)| (ip, slot, neighbour))
    }

    /// Those behind `after`, for listings in pieces.
    pub fn after(&self, after: (IpAddr, u16)) -> impl Iterator<Item = (IpAddr, u16, &Neighbour)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let rest = self.entries.range((Excluded(after), Unbounded));
        rest.map(|(&(ip, slot), neighbour)| (ip, slot, neighbour))
    }

    /// Who has this address, on whichever interface.
    #[must_use]
    pub fn lookup(&self, ip: IpAddr) -> Option<(u16, &Neighbour)> {
        let mut found = self.entries.range((ip, 0)..=(ip, u16::MAX));
        found
            .next()
            .map(|(&(_, slot), neighbour)| (slot, neighbour))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many gave way to others.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn evict(&mut self, changes: &mut Vec<Change>) {
        let oldest = self
            .entries
            .iter()
            .min_by_key(|(_, neighbour)| neighbour.last_seen);
        if let Some((&(ip, slot), _)) = oldest {
            self.evicted = self.evicted.saturating_add(1);
            self.remove(slot, ip, changes);
        }
    }

    fn remove_where(&mut self, changes: &mut Vec<Change>, which: impl Fn(u16, &Neighbour) -> bool) {
        self.entries.retain(|&(ip, slot), neighbour| {
            let goes = which(slot, neighbour);
            if goes {
                changes.push(Change::NeighbourGone {
                    slot,
                    ip,
                    mac: neighbour.mac,
                });
            }
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink::Neighbour as Message;

    fn seen(last: u8, state: u16) -> Message {
        Message {
            state,
            mac: Some([2, 0, 0, 0, 0, last]),
            ..Message::default()
        }
    }

    fn ip(last: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from(0x0a00_0000 | last))
    }

    #[test]
    fn another_mac_is_a_move_and_a_failure_is_a_loss() {
        let (mut table, mut changes) = (Neighbours::default(), Vec::new());
        let (a, b) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        for message in [
            seen(1, Message::REACHABLE),
            seen(1, Message::STALE),
            seen(2, Message::REACHABLE),
            Message {
                mac: None,
                ..seen(0, Message::INCOMPLETE)
            },
            seen(2, Message::FAILED),
        ] {
            table.update(3, ip(9), &message, Tick(1), &mut changes);
        }
        let (slot, ip) = (3, ip(9));
        assert_eq!(
            changes,
            [
                Change::NeighbourNew { slot, ip, mac: a },
                Change::NeighbourMoved {
                    slot,
                    ip,
                    from: a,
                    to: b
                },
                Change::NeighbourGone { slot, ip, mac: b },
            ]
        );
        assert!(table.is_empty());
    }

    #[test]
    fn at_the_cap_the_oldest_gives_way_and_is_counted() {
        let (mut table, mut changes) = (Neighbours::default(), Vec::new());
        for n in 0..=u32::try_from(MAX_NEIGHBOURS).unwrap() {
            // The second one is the oldest.
            let now = if n == 1 {
                Tick(1)
            } else {
                Tick(u64::from(n) + 2)
            };
            table.update(0, ip(n), &seen(1, Message::REACHABLE), now, &mut changes);
        }
        assert_eq!((table.len(), table.evicted()), (MAX_NEIGHBOURS, 1));
        assert!(table.lookup(ip(1)).is_none() && table.lookup(ip(0)).is_some());
    }

    #[test]
    fn a_listing_goes_on_behind_the_last_one_shown() {
        let (mut table, mut changes) = (Neighbours::default(), Vec::new());
        for n in [5, 3, 4] {
            table.update(
                0,
                ip(n),
                &seen(1, Message::REACHABLE),
                Tick(0),
                &mut changes,
            );
        }
        let rest: Vec<_> = table.after((ip(3), 0)).map(|(ip, ..)| ip).collect();
        assert_eq!(rest, [ip(4), ip(5)]);
    }
}
