//! Which interfaces to capture: those that were named, or a choice that shows each packet once as
//! far as possible.
//!
//! The choice: interfaces that are up and carry an address others can reach, and bridges with any
//! address at all; if there is none, those with a link-local address; if there is none either,
//! whatever is up. Never loopback and never an `ifb`. Then, so that a packet isn't seen twice:
//!
//! - no port of a bridge or bond that is chosen itself;
//! - no VLAN or macvlan interface whose parent is chosen: the parent shows the same frames with
//!   their tags;
//! - no interface below the ports of a hardware switch (DSA): its frames carry a tag of the
//!   switch that only the driver understands, and the ports show them without.
//!
//! A tunnel and the interface it runs over are both chosen: one shows what is inside, the other
//! that there is a tunnel.

use crate::topology::link::{Kind, Link};
use crate::topology::links::Links;

/// Nested bridges, bonds and VLANs that are followed.
const MAX_DEPTH: usize = 8;

/// Names of interfaces, or none for the automatic choice.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    patterns: Vec<Box<str>>,
}

impl Selection {
    /// These names; one that ends in `*` or `+` stands for all that begin so.
    pub fn of<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Self {
        Self {
            patterns: patterns.into_iter().map(|p| p.as_ref().into()).collect(),
        }
    }

    /// Whether nothing was named.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether this name was named; nothing is when nothing was.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.patterns
            .iter()
            .any(|pattern| match pattern.strip_suffix(['*', '+']) {
                Some(start) => name.starts_with(start),
                None => **pattern == *name,
            })
    }

    /// What was named and isn't there, for a status line: it is captured when it appears.
    pub fn missing(&self, links: &Links) -> impl Iterator<Item = &str> {
        self.patterns
            .iter()
            .map(|pattern| &**pattern)
            .filter(|pattern| {
                let one = Self::of([pattern]);
                !links.iter().any(|(_, link)| one.names(&link.name))
            })
    }
}

/// The slots of the interfaces to capture, in ascending order.
#[must_use]
pub fn pick(links: &Links, selection: &Selection) -> Vec<u16> {
    if !selection.is_automatic() {
        let named = links.iter().filter(|(_, link)| selection.names(&link.name));
        return named.map(|(slot, _)| slot).collect();
    }
    let tiers: [fn(&Link) -> bool; 3] = [
        |link| {
            link.has_routable_address() || link.kind == Kind::Bridge && !link.addresses.is_empty()
        },
        |link| !link.addresses.is_empty(),
        |_| true,
    ];
    let below_switch: Vec<u16> = links
        .iter()
        .filter(|(_, link)| link.kind == Kind::DsaPort)
        .filter_map(|(slot, _)| links.parent_of(slot))
        .collect();
    let candidates = tiers.iter().map(|tier| {
        let eligible = links
            .iter()
            .filter(|(slot, _)| !below_switch.contains(slot));
        let fit = eligible.filter(|(_, link)| is_eligible(link) && tier(link));
        fit.map(|(slot, _)| slot).collect::<Vec<_>>()
    });
    let Some(candidates) = candidates.into_iter().find(|found| !found.is_empty()) else {
        return Vec::new();
    };
    let bare = candidates
        .iter()
        .all(|&slot| links.get(slot).is_none_or(|l| l.addresses.is_empty()));
    candidates
        .iter()
        .copied()
        .filter(|&slot| !is_shown_by_another(links, slot, &candidates))
        // Without any address to go by, a port isn't taken even if its bridge is down.
        .filter(|&slot| !bare || port_of(links, slot).is_none())
        .collect()
}

/// What can be chosen at all.
fn is_eligible(link: &Link) -> bool {
    link.up && !matches!(link.kind, Kind::Loopback | Kind::Ifb | Kind::Vrf)
}

/// Whether one of `chosen` shows the frames of this one already.
fn is_shown_by_another(links: &Links, slot: u16, chosen: &[u16]) -> bool {
    let mut at = slot;
    for _ in 0..MAX_DEPTH {
        // A port of a bridge may be a VLAN interface: the bridge comes first.
        let Some(next) = port_of(links, at).or_else(|| child_of(links, at)) else {
            return false;
        };
        if chosen.contains(&next) {
            return true;
        }
        at = next;
    }
    false
}

/// The bridge or bond it is a port of. Members of a VRF are routed interfaces, no ports.
fn port_of(links: &Links, slot: u16) -> Option<u16> {
    let master = links.master_of(slot)?;
    links.get(master).filter(|link| link.kind != Kind::Vrf)?;
    Some(master)
}

/// The interface whose frames are its own as well.
fn child_of(links: &Links, slot: u16) -> Option<u16> {
    let link = links.get(slot)?;
    matches!(link.kind, Kind::Vlan | Kind::Macvlan).then(|| links.parent_of(slot))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::links::tests::{address, apply, default_route, link};
    use crate::wire::netlink::{self, Message};

    /// Name, kind, master, parent, addresses; numbered from 1 in this order.
    type Row<'a> = (&'a str, &'a str, &'a str, &'a str, &'a [&'a str]);

    fn machine(rows: &[Row<'_>]) -> Links {
        let mut links = Links::default();
        let number = |name: &str| {
            let at = rows.iter().position(|row| row.0 == name)?;
            u32::try_from(at).unwrap().checked_add(1)
        };
        for (name, kind, master, parent, addresses) in rows {
            let ifindex = number(name).unwrap();
            let is_loopback = *name == "lo";
            let message = netlink::Link {
                kind: (!kind.is_empty()).then_some(kind.as_bytes()),
                hardware: match *kind {
                    "ppp" => 512,
                    "wireguard" => 65_534,
                    _ if is_loopback => 772,
                    _ => 1,
                },
                flags: netlink::LINK_UP
                    | if is_loopback {
                        netlink::LINK_LOOPBACK
                    } else {
                        0
                    },
                master: number(master),
                parent: number(parent),
                ..link(ifindex, name)
            };
            apply(&mut links, &Message::NewLink(message));
            for text in *addresses {
                apply(&mut links, &address(ifindex, text));
            }
        }
        links
    }

    #[track_caller]
    fn picked(rows: &[Row<'_>], expected: &[&str]) {
        let links = machine(rows);
        let found = pick(&links, &Selection::default());
        let names: Vec<_> = found
            .iter()
            .map(|&slot| &*links.get(slot).unwrap().name)
            .collect();
        assert_eq!(names, expected);
    }

    const LO: Row<'_> = ("lo", "", "", "", &["127.0.0.1/8", "::1/128"]);

    #[test]
    fn switch_ports_show_as_their_bridge_and_the_uplink_port() {
        picked(
            &[
                LO,
                ("eth0", "", "", "", &["fe80::1/64"]),
                ("lan1", "dsa", "br-lan", "eth0", &[]),
                ("lan2", "dsa", "br-lan", "eth0", &[]),
                ("lan3", "", "br-lan", "eth0", &[]),
                ("lan4", "", "br-lan", "eth0", &[]),
                ("wan", "dsa", "", "eth0", &["203.0.113.5/24", "fe80::2/64"]),
                ("br-lan", "bridge", "", "", &["192.168.1.1/24"]),
                ("phy0-ap0", "", "br-lan", "", &["fe80::3/64"]),
            ],
            &["wan", "br-lan"],
        );
    }

    #[test]
    fn the_interface_below_switch_ports_is_never_chosen() {
        picked(
            &[
                ("eth0", "", "", "", &["192.0.2.1/24"]),
                ("wan", "dsa", "", "eth0", &["203.0.113.5/24"]),
            ],
            &["wan"],
        );
    }

    #[test]
    fn a_switch_with_vlans_shows_as_bridge_and_uplink_vlan() {
        picked(
            &[
                LO,
                ("eth0", "", "", "", &["fe80::1/64"]),
                ("eth0.1", "vlan", "br-lan", "eth0", &[]),
                ("eth0.2", "vlan", "", "eth0", &["198.51.100.7/24"]),
                ("br-lan", "bridge", "", "", &["192.168.1.1/24"]),
                ("wlan0", "", "br-lan", "", &[]),
            ],
            &["eth0.2", "br-lan"],
        );
    }

    #[test]
    fn pppoe_shows_as_the_session_not_as_the_card_below() {
        picked(
            &[
                LO,
                ("eth0", "", "br-lan", "", &[]),
                ("eth1", "", "", "", &["fe80::1/64"]),
                ("br-lan", "bridge", "", "", &["192.168.1.1/24"]),
                ("pppoe-wan", "ppp", "", "", &["203.0.113.9/32"]),
            ],
            &["br-lan", "pppoe-wan"],
        );
    }

    #[test]
    fn a_plain_server_shows_as_its_card() {
        picked(&[LO, ("eth0", "", "", "", &["203.0.113.10/24"])], &["eth0"]);
    }

    #[test]
    fn a_container_host_shows_as_uplink_and_container_bridge() {
        picked(
            &[
                LO,
                ("eth0", "", "", "", &["203.0.113.10/24"]),
                ("docker0", "bridge", "", "", &["172.17.0.1/16"]),
                ("veth1a2b", "veth", "docker0", "", &["fe80::5/64"]),
                ("veth3c4d", "veth", "docker0", "", &["fe80::6/64"]),
                ("wg0", "wireguard", "", "", &["10.8.0.1/24"]),
                ("ifb0", "ifb", "", "", &["10.9.0.1/24"]),
            ],
            &["eth0", "docker0", "wg0"],
        );
    }

    #[test]
    fn a_parent_with_an_address_is_chosen_instead_of_its_vlans() {
        picked(
            &[
                ("eth0", "", "", "", &["192.0.2.1/24"]),
                ("eth0.5", "vlan", "", "eth0", &["198.51.100.1/24"]),
                ("mac0", "macvlan", "", "eth0", &["192.0.2.2/24"]),
                ("eth0.5.6", "vlan", "", "eth0.5", &["192.0.2.129/25"]),
            ],
            &["eth0"],
        );
    }

    #[test]
    fn a_bridge_with_only_a_link_local_address_counts_and_covers_its_vlans() {
        picked(
            &[
                ("br-lan", "bridge", "", "", &["fe80::1/64"]),
                ("br-lan.1", "vlan", "", "br-lan", &["192.168.1.1/24"]),
                ("br-lan.2", "vlan", "", "br-lan", &["192.168.2.1/24"]),
                ("wan", "", "", "", &["203.0.113.5/24"]),
            ],
            &["br-lan", "wan"],
        );
    }

    #[test]
    fn ports_of_a_bond_are_not_chosen_with_it() {
        picked(
            &[
                ("eth0", "", "bond0", "", &[]),
                ("eth1", "", "bond0", "", &[]),
                ("bond0", "bond", "", "", &["192.0.2.1/24"]),
                ("bond0.7", "vlan", "", "bond0", &["192.0.2.130/25"]),
            ],
            &["bond0"],
        );
    }

    #[test]
    fn members_of_a_vrf_are_chosen_and_the_vrf_is_not() {
        picked(
            &[
                ("eth0", "", "red", "", &["192.0.2.1/24"]),
                ("red", "vrf", "", "", &["127.0.0.1/8"]),
            ],
            &["eth0"],
        );
    }

    #[test]
    fn without_addresses_whatever_is_up_and_no_port_is_chosen() {
        picked(
            &[
                LO,
                ("eth0", "", "", "", &[]),
                ("eth1", "", "br0", "", &[]),
                ("br0", "bridge", "", "", &[]),
                ("eth0.4", "vlan", "", "eth0", &[]),
            ],
            &["eth0", "br0"],
        );
    }

    #[test]
    fn names_are_taken_as_they_are_and_the_rest_is_missing() {
        let mut links = machine(&[
            LO,
            ("eth0", "", "br0", "", &[]),
            ("veth7", "veth", "", "", &[]),
            ("br0", "bridge", "", "", &["192.0.2.1/24"]),
        ]);
        let selection = Selection::of(["lo", "eth0", "veth*", "tun+", "wg0"]);
        assert_eq!(pick(&links, &selection), [0, 1, 2]);
        assert_eq!(
            selection.missing(&links).collect::<Vec<_>>(),
            ["tun+", "wg0"]
        );
        apply(&mut links, &Message::NewLink(link(40, "tun3")));
        assert_eq!(pick(&links, &selection), [0, 1, 2, 4]);
    }

    #[test]
    fn the_uplink_is_the_one_with_the_default_route() {
        use crate::topology::links::Role;
        let mut links = machine(&[
            ("eth0", "", "", "", &["192.168.7.2/24"]),
            ("br0", "bridge", "", "", &["192.168.1.1/24"]),
        ]);
        apply(&mut links, &Message::NewRoute(default_route(1)));
        assert_eq!((links.role(0), links.role(1)), (Role::Wan, Role::Lan));
    }
}
