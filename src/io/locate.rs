//! Finds the network namespace that the target of a packet session means, and makes sure that it
//! is still the one.

use std::path::PathBuf;

use crate::core::packets::{Refused, Target, Why};
use crate::sys::netns::{self, Identity};

use super::spaces::Spaces;

/// A namespace that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// Its file and what tells it apart; `None` for the agent's own.
    pub file: Option<(PathBuf, Identity)>,
    /// A process that has to live in it still when its sockets are open: pid and start time, the
    /// latter 0 if it does not matter.
    pub process: Option<(u32, u64)>,
    /// The target with what is known better now: names, interfaces.
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

/// Looks for the namespace of a target; call it again while it is [`Search::Pending`].
pub fn locate(target: &Target, _: &mut Spaces) -> Search {
    if target.is_own() {
        return Search::Found(Located { file: None, process: None, target: target.clone() });
    }
    if target.pid > 0 {
        let path = PathBuf::from(format!("/proc/{}/ns/net", target.pid));
        if let Ok(identity) = netns::identify(&path)
            && (target.netns == 0 || identity.inode == target.netns)
        {
            return Search::Found(Located {
                file: Some((path, identity)),
                process: Some((target.pid, target.starttime)),
                target: target.clone(),
            });
        }
    }
    Search::Refused(Refused::new(Why::NotFound, "could not locate network namespace"))
}

/// Whether a namespace is still the one that was found, after sockets were opened in it: the
/// process that it was found by still lives there.
///
/// # Errors
/// What has changed.
pub fn still(located: &Located) -> Result<(), Refused> {
    let Some((path, identity)) = &located.file else { return Ok(()) };
    match netns::identify(path) {
        Ok(found) if found == *identity => Ok(()),
        _ => Err(Refused::new(Why::Stale, "the network namespace has changed meanwhile")),
    }
}
