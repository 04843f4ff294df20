//! Which namespace a capture client means. Numbers of namespaces and processes are used again, so
//! whatever the client says besides is held against what is there now; a name helps out.

use super::Machine;
use super::machine::Space;
use super::targets::{self, Target};
use crate::text::Quoted;

/// What a client says of the namespace.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Wanted<'a> {
    /// Its number; 0 for none.
    pub netns: u64,
    /// A process in it; 0 for none.
    pub pid: u32,
    /// When that started; 0 for unknown.
    pub starttime: u64,
    /// A name of who lives in it; empty for none.
    pub name: &'a str,
    /// What tells the name from the same one elsewhere.
    pub prefix: &'a str,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The namespace.
    pub space: &'a Space,
    /// A process that has to live in it still when it is used, and when that started; the latter
    /// is 0 if it does not matter.
    pub process: Option<(u32, u64)>,
    /// Who it was found by, if it was by name.
    pub named: Option<Target<'a>>,
}

/// Why nothing is found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Missing {
    /// The agent may not look into that process.
    Denied(String),
    /// There is none.
    NotFound(String),
    /// What the client knew is no longer so.
    Stale(String),
}

/// What is the case with the process that a client named.
enum Life {
    /// It is there, in the namespace of that number; the client did or did not say when it
    /// started.
    There(u64),
    /// It is there, and the agent may not know where.
    Hidden,
    /// It is gone, or another one has its number.
    Gone,
    /// The client named none.
    None,
}

/// Finds the namespace that is meant.
///
/// # Errors
/// Why there is none, in words for the user.
pub fn decide<'a>(machine: &'a Machine, wanted: &Wanted<'_>) -> Result<Found<'a>, Missing> {
    let Wanted { netns, pid, starttime, name, .. } = *wanted;
    let process = Some((pid, starttime));
    let by_number = |inode| machine.spaces.iter().find(|space| space.inode == inode);
    let here = |space, process| Ok(Found { space, process, named: None });
    let by_name = || if name.is_empty() { None } else { find(machine, name, wanted.prefix) };
    let life = match (pid, machine.process(pid)) {
        (0, _) => Life::None,
        (_, Some(known)) if starttime == 0 || known.starttime == starttime => match known.netns {
            0 => Life::Hidden,
            inode => Life::There(inode),
        },
        _ => Life::Gone,
    };
    match (netns, life) {
        (0, life) if !name.is_empty() => by_name().map_or_else(
            || match life {
                // Without its start it may be any process.
                Life::There(inode) if starttime != 0 => {
                    by_number(inode).map_or_else(|| Err(unknown(wanted)), |s| here(s, process))
                }
                _ => Err(unknown(wanted)),
            },
            Ok,
        ),
        (0, Life::There(inode)) => {
            by_number(inode).map_or_else(|| Err(unknown(wanted)), |space| here(space, process))
        }
        (_, Life::There(inode)) if inode == netns => {
            by_number(inode).map_or_else(|| Err(unknown(wanted)), |space| here(space, process))
        }
        (_, Life::There(inode)) => {
            // If the number is nobody's, the process is the better witness; otherwise both are
            // somewhere, and the name decides.
            let moved = by_number(inode).filter(|_| starttime != 0 && !name.is_empty());
            if let (Some(space), None) = (moved, by_number(netns)) {
                return here(space, process);
            }
            by_name().ok_or_else(|| {
                let text = format!(
                    "process {pid} is in network namespace {inode}, not in {netns}: discover the \
                     targets again"
                );
                Missing::Stale(text)
            })
        }
        // The name of a process holds its number, which another one may have by now: that one is
        // not meant if it lives elsewhere.
        (_, Life::Gone) => by_name().filter(|found| !is_successor(found, wanted)).ok_or_else(|| {
            let text = format!(
                "the target is stale: process {pid} has ended or is another one by now; discover \
                 the targets again"
            );
            Missing::Stale(text)
        }),
        (_, Life::Hidden) => by_name().ok_or_else(|| {
            let text = format!(
                "the agent may not look into process {pid}: it takes CAP_SYS_PTRACE \
                 (netns_discovery=yes keeps it)"
            );
            Missing::Denied(text)
        }),
        (_, Life::None) => match by_number(netns) {
            Some(space) => here(space, None),
            None => by_name().ok_or_else(|| unknown(wanted)),
        },
    }
}

/// The first target of that name.
fn find<'a>(machine: &'a Machine, name: &str, prefix: &str) -> Option<Found<'a>> {
    machine.spaces.iter().find_map(|space| {
        let mut all = targets::of_space(machine, space).into_iter();
        let target = all.find(|target| target.name == name && target.prefix == prefix)?;
        let process = (target.pid != 0).then_some((target.pid, target.starttime));
        Some(Found { space, process, named: Some(target) })
    })
}

/// Whether what was found is a later process of the same number in another namespace.
fn is_successor(found: &Found<'_>, wanted: &Wanted<'_>) -> bool {
    let same = |target: &Target<'_>| target.kind == "proc" && target.pid == wanted.pid;
    let later = found.process.is_some_and(|(_, starttime)| starttime > wanted.starttime);
    found.named.as_ref().is_some_and(same) && later && found.space.inode != wanted.netns
}

fn unknown(wanted: &Wanted<'_>) -> Missing {
    let Wanted { netns, pid, name, .. } = *wanted;
    let name = super::clamp(name, super::MAX_NAME);
    Missing::NotFound(match (netns, name) {
        (0, "") => format!("there is no process {pid} in any network namespace"),
        (0, name) => {
            format!(
                "could not locate network namespace: there is no target named {}; /mobyshark lists those there are",
                Quoted(name)
            )
        }
        (netns, _) => format!(
            "could not locate network namespace {netns}: it is gone, or not one of this machine; \
             /mobyshark lists those there are"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::super::machine::{Process, Tenant};
    use super::*;

    /// Namespace 7 with process 5 called `web`, 8 with process 6 called `db`, 9 that is mounted.
    fn machine() -> Machine {
        let process = |pid, netns, comm: &str| Process {
            pid,
            netns,
            starttime: 100 + u64::from(pid),
            comm: comm.into(),
            ..Process::default()
        };
        let space = |inode, process| Space {
            inode,
            tenants: vec![Tenant { process, ..Tenant::default() }],
            ..Space::default()
        };
        let mounted = Space { inode: 9, mounts: vec!["/run/netns/vpn".into()], ..Space::default() };
        Machine {
            processes: vec![process(5, 7, "web"), process(6, 8, "db"), process(7, 0, "hidden")],
            spaces: vec![space(7, 0), space(8, 1), mounted],
            ..Machine::default()
        }
    }

    fn decided(netns: u64, pid: u32, starttime: u64, name: &str) -> Result<u64, Missing> {
        let machine = machine();
        let wanted = Wanted { netns, pid, starttime, name, prefix: "" };
        decide(&machine, &wanted).map(|found| found.space.inode)
    }

    #[test]
    fn every_row_of_the_decision_table_holds() {
        let stale = |found: Result<u64, Missing>| matches!(found, Err(Missing::Stale(_)));
        let missing = |found: Result<u64, Missing>| matches!(found, Err(Missing::NotFound(_)));
        // A number alone.
        assert_eq!(decided(7, 0, 0, ""), Ok(7));
        assert_eq!(decided(9, 0, 0, ""), Ok(9));
        assert!(missing(decided(77, 0, 0, "")));
        // With a process that is current: it has to be in that namespace.
        assert_eq!(decided(7, 5, 105, ""), Ok(7));
        assert!(stale(decided(7, 6, 106, "")));
        // Or stale.
        assert!(stale(decided(7, 5, 104, "")));
        assert!(stale(decided(7, 55, 105, "")));
        // With a name besides.
        assert_eq!(decided(7, 5, 105, "db(6)"), Ok(7));
        assert_eq!(decided(7, 6, 106, "web(5)"), Ok(7));
        assert_eq!(decided(7, 5, 104, "db(6)"), Ok(8));
        assert!(stale(decided(7, 5, 104, "nobody")));
        assert!(stale(decided(7, 6, 106, "nobody")));
        // The name of a process is of use as long as its number means the same namespace.
        assert_eq!(decided(7, 5, 104, "web(5)"), Ok(7));
        assert!(stale(decided(8, 5, 104, "web(5)")));
        assert!(stale(decided(77, 5, 104, "web(5)")));
        // It began before what the client knows, so it is no other one: the number is wrong.
        assert_eq!(decided(8, 5, 106, "web(5)"), Ok(7));
        assert_eq!(decided(0, 5, 104, "web(5)"), Ok(7));
        // By name alone, whatever the process.
        for (pid, starttime) in [(0, 0), (5, 105), (5, 1), (99, 1)] {
            assert_eq!(decided(0, pid, starttime, "db(6)"), Ok(8));
        }
        assert_eq!(decided(0, 0, 0, "/run/netns/vpn"), Ok(9));
        assert!(missing(decided(0, 0, 0, "nobody")));
        assert!(missing(decided(0, 5, 1, "nobody")));
        // A process without its start is held against the namespace.
        assert_eq!(decided(7, 5, 0, ""), Ok(7));
        assert!(stale(decided(7, 6, 0, "")));
        assert!(stale(decided(7, 99, 0, "")));
        assert_eq!(decided(7, 6, 0, "web(5)"), Ok(7));
        // A number that is nobody's: the process, then the name.
        assert_eq!(decided(77, 5, 105, "db(6)"), Ok(7));
        assert_eq!(decided(77, 5, 1, "db(6)"), Ok(8));
        assert_eq!(decided(77, 0, 0, "db(6)"), Ok(8));
        assert!(stale(decided(77, 5, 105, "")));
    }

    #[test]
    fn what_the_agent_may_not_see_is_said_to_be_so() {
        assert!(matches!(decided(7, 7, 107, ""), Err(Missing::Denied(_))));
        assert_eq!(decided(7, 7, 107, "web(5)"), Ok(7));
    }

    #[test]
    fn a_prefix_has_to_be_the_same() {
        let machine = machine();
        let wanted = Wanted { name: "web(5)", prefix: "outer", ..Wanted::default() };
        assert!(decide(&machine, &wanted).is_err());
    }

    #[test]
    fn a_name_brings_its_process_and_a_process_must_stay() {
        let machine = machine();
        let wanted = Wanted { name: "db(6)", ..Wanted::default() };
        let found = decide(&machine, &wanted).unwrap();
        assert_eq!(found.process, Some((6, 106)));
        assert_eq!(found.named.unwrap().kind, "proc");
        let wanted = Wanted { netns: 7, pid: 5, starttime: 105, ..Wanted::default() };
        assert_eq!(decide(&machine, &wanted).unwrap().process, Some((5, 105)));
    }
}
