//! The list of capture targets: what `/mobyshark` answers. It is written a target at a time, so
//! that a long list holds nobody up.

use std::rc::Rc;

use super::Machine;
use super::machine::{Space, Tenant};
use super::text;

/// One target, as clients name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target<'a> {
    /// Its name.
    pub name: String,
    /// What bears the name.
    pub kind: &'a str,
    /// What tells the name from the same one elsewhere.
    pub prefix: &'a str,
    /// A process in it; 0 for none.
    pub pid: u32,
    /// When that started.
    pub starttime: u64,
}

/// The targets of one namespace.
#[must_use]
pub fn of_space<'a>(machine: &'a Machine, space: &'a Space) -> Vec<Target<'a>> {
    let mut targets: Vec<Target<'a>> = Vec::new();
    let mut pods: Vec<(&str, &str)> = Vec::new();
    for tenant in &space.tenants {
        let Some(process) = machine.process_of(tenant) else { continue };
        let known = machine.container(tenant.container).map(|container| &container.known);
        let pod = known.and_then(|known| known.pod.as_ref()).map(|(a, b)| (&**a, &**b));
        let is_sandbox = known.is_some_and(|known| known.is_sandbox);
        if let Some(pod) = pod.filter(|pod| !pods.contains(pod)) {
            pods.push(pod);
            let process = sandbox(machine, space, pod)
                .and_then(|tenant| machine.process_of(tenant))
                .unwrap_or(process);
            let (pid, starttime) = (process.pid, process.starttime);
            let name = format!("{}/{}", pod.0, pod.1);
            targets.push(Target { name, kind: "pod", prefix: "", pid, starttime });
        }
        if let Some(title) = machine.title_of(tenant)
            && !(is_sandbox && pod.is_some())
        {
            let (pid, starttime) = (process.pid, process.starttime);
            let super::tenants::Title { name, kind, prefix } = title;
            targets.push(Target { name, kind, prefix, pid, starttime });
        }
    }
    if space.tenants.is_empty()
        && let Some(path) = space.mounts.first()
    {
        let name = super::clamp(&path.to_string_lossy(), super::MAX_NAME).to_owned();
        targets.push(Target { name, kind: "bindmount", prefix: "", pid: 0, starttime: 0 });
    }
    targets
}

/// The tenant that is there for the pod's sake.
fn sandbox<'a>(machine: &Machine, space: &'a Space, pod: (&str, &str)) -> Option<&'a Tenant> {
    space.tenants.iter().find(|tenant| {
        let known = machine.container(tenant.container).map(|container| &container.known);
        known.is_some_and(|known| {
            let named = known.pod.as_ref().is_some_and(|(a, b)| (&**a, &**b) == pod);
            known.is_sandbox && named
        })
    })
}

/// The document, a piece at a time.
#[derive(Debug)]
pub struct Text {
    machine: Rc<Machine>,
    /// The next namespace; none before the head is written.
    next: Option<usize>,
    /// A target was written.
    some: bool,
}

impl Text {
    /// At the beginning.
    #[must_use]
    pub const fn new(machine: Rc<Machine>) -> Self {
        Self { machine, next: None, some: false }
    }

    /// Appends more, about `most` octets; `true` if there is still more.
    pub fn write(&mut self, out: &mut Vec<u8>, most: usize) -> bool {
        let most = most.saturating_add(out.len());
        while out.len() < most {
            let Some(at) = self.next else {
                out.push(b'{');
                super::document::metadata(out, &self.machine);
                text::key(out, "containers");
                out.push(b'[');
                self.next = Some(0);
                continue;
            };
            let Some(space) = self.machine.spaces.get(at) else {
                out.extend_from_slice(b"]}");
                return false;
            };
            for target in of_space(&self.machine, space) {
                if std::mem::replace(&mut self.some, true) {
                    out.push(b',');
                }
                write_target(out, &target, space);
            }
            self.next = Some(at.saturating_add(1));
        }
        true
    }
}

/// Appends a target as clients send it back.
pub fn write_target(out: &mut Vec<u8>, target: &Target<'_>, space: &Space) {
    let names = space.interfaces.iter().filter(|interface| interface.is_target());
    write(out, target, space.inode, names.map(|interface| &*interface.name));
}

/// The same with some interfaces only.
pub fn write<'a>(
    out: &mut Vec<u8>,
    target: &Target<'_>,
    netns: u64,
    interfaces: impl Iterator<Item = &'a str>,
) {
    out.push(b'{');
    text::text(out, "name", &target.name);
    text::text(out, "type", target.kind);
    text::number(out, "netns", netns);
    text::texts(out, "network-interfaces", interfaces);
    text::number(out, "pid", target.pid);
    text::number(out, "starttime", target.starttime);
    text::text(out, "prefix", target.prefix);
    out.push(b'}');
}
