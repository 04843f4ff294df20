//! Finds the network namespace that the target of a packet session means, and makes sure that it
//! is still the one.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::core::Agent;
use crate::core::discovery::Ticket;
use crate::core::packets::{Refused, Target, Why};
use crate::netns::lookup::{self, Missing, Wanted};
use crate::netns::process::{Stat, namespace_of};
use crate::netns::{Depth, Machine};
use crate::sys::netns::{self, Identity};

/// A namespace that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// Its file and what tells it apart; `None` for the agent's own.
    pub file: Option<(PathBuf, Identity)>,
    /// A process that has to live in it still when its sockets are open: pid and start time, the
    /// latter 0 if it does not matter.
    pub process: Option<(u32, u64)>,
    /// The target with what is known better now: its number, process and name.
    pub target: Target,
}

/// How far the search is.
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// It is there.
    Found(Located),
    /// Ask again in the next turn.
    Pending,
    /// There is no such namespace.
    Refused(Refused),
}

/// The search for one target, from the beginning of a session until it is open.
#[derive(Debug, Default)]
pub struct Locator {
    ticket: Option<Ticket>,
}

impl Locator {
    /// Looks for the namespace of a target; call it again while it is [`Search::Pending`].
    pub fn look(&mut self, target: &Target, agent: &mut Agent) -> Search {
        if target.is_own() {
            return Search::Found(Located { file: None, process: None, target: target.clone() });
        }
        if self.ticket.is_none()
            && let Some(found) = at_once(target)
        {
            return Search::Found(found);
        }
        let ticket = self.ticket.get_or_insert_with(|| agent.discovery.ask(Depth::Names));
        match ticket.answer() {
            Some(machine) => decide(&machine, target),
            None => Search::Pending,
        }
    }
}

/// What needs no search: a process that is what the client says, in the namespace that it says.
fn at_once(target: &Target) -> Option<Located> {
    if target.netns == 0 || target.pid == 0 || target.starttime == 0 {
        return None;
    }
    let (inode, starttime) = life(target.pid)?;
    let inode = inode.filter(|inode| *inode == target.netns && starttime == target.starttime)?;
    let path = PathBuf::from(format!("/proc/{}/ns/net", target.pid));
    let identity = netns::identify(&path).ok().filter(|identity| identity.inode == inode)?;
    let process = Some((target.pid, target.starttime));
    Some(Located { file: Some((path, identity)), process, target: target.clone() })
}

fn decide(machine: &Machine, target: &Target) -> Search {
    let wanted = Wanted {
        netns: target.netns,
        pid: target.pid,
        starttime: target.starttime,
        name: &target.name,
        prefix: &target.prefix,
    };
    let found = match lookup::decide(machine, &wanted) {
        Ok(found) => found,
        Err(missing) => {
            let (why, text) = match missing {
                Missing::Denied(text) => (Why::Denied, text),
                Missing::NotFound(text) => (Why::NotFound, text),
                Missing::Stale(text) => (Why::Stale, text),
            };
            return Search::Refused(Refused::new(why, text));
        }
    };
    let mut target = target.clone();
    target.netns = found.space.inode;
    (target.pid, target.starttime) = found.process.unwrap_or_default();
    if let Some(named) = found.named {
        named.kind.clone_into(&mut target.kind);
    }
    if found.space.file.is_none() {
        return Search::Found(Located { file: None, process: found.process, target });
    }
    // Whatever still leads there: a process may have ended since.
    let processes = found.space.tenants.iter().filter_map(|tenant| machine.process_of(tenant));
    let processes = processes.map(|process| PathBuf::from(format!("/proc/{}/ns/net", process.pid)));
    let known = found.space.file.iter().chain(&found.space.mounts).cloned();
    for path in known.chain(processes) {
        if let Ok(identity) = netns::identify(&path)
            && identity.inode == found.space.inode
        {
            return Search::Found(Located {
                file: Some((path, identity)),
                process: found.process,
                target,
            });
        }
    }
    let text = format!(
        "network namespace {} has gone, or the agent may not enter it (it takes CAP_SYS_ADMIN and \
         CAP_SYS_PTRACE)",
        found.space.inode
    );
    Search::Refused(Refused::new(Why::NotFound, text))
}

/// Makes sure, once its sockets are open, that a namespace is still the one that was meant: the
/// number of a process may have become somebody else's meanwhile.
///
/// # Errors
/// It is not.
pub fn still(located: &Located) -> Result<(), Refused> {
    let Some((pid, starttime)) = located.process else { return Ok(()) };
    let stale = || {
        let text = format!("the target is stale: process {pid} has just ended, or left");
        Err(Refused::new(Why::Stale, text))
    };
    let own = || netns::identify(Path::new("/proc/thread-self/ns/net")).ok();
    let inode = located.file.as_ref().map(|(_, identity)| *identity).or_else(own);
    match (life(pid), inode) {
        (Some((inode, started)), Some(identity))
            if inode.is_none_or(|inode| inode == identity.inode)
                && (starttime == 0 || started == starttime) =>
        {
            Ok(())
        }
        _ => stale(),
    }
}

/// The namespace that a process lives in, unless the agent may not know, and when it started.
fn life(pid: u32) -> Option<(Option<u64>, u64)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let inode = match fs::read_link(format!("/proc/{pid}/ns/net")) {
        Ok(link) => Some(namespace_of(link.as_os_str().as_bytes(), "net")?),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => None,
        Err(_) => return None,
    };
    Some((inode, Stat::parse(&stat)?.starttime))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Target {
        let pid = std::process::id();
        let (netns, starttime) = life(pid).unwrap();
        Target { netns: netns.unwrap(), pid, starttime, ..Target::default() }
    }

    #[test]
    fn a_process_that_is_what_it_was_is_found_at_once_and_is_still_there() {
        let found = at_once(&own()).unwrap();
        assert_eq!(found.target, own());
        assert_eq!(still(&found), Ok(()));
        for wrong in [
            Target { starttime: own().starttime + 1, ..own() },
            Target { netns: 7, ..own() },
            Target { pid: u32::MAX, ..own() },
        ] {
            assert_eq!(at_once(&wrong), None);
        }
    }

    #[test]
    fn a_process_that_is_another_one_by_now_is_noticed() {
        let mut found = at_once(&own()).unwrap();
        found.process = Some((own().pid, own().starttime + 1));
        assert_eq!(still(&found).unwrap_err().why, Why::Stale);
        found.process = Some((u32::MAX, 0));
        assert_eq!(still(&found).unwrap_err().why, Why::Stale);
        found.process = None;
        assert_eq!(still(&found), Ok(()));
    }
}
