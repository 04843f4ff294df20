//! Who stands for whom: which processes are the tenants of namespaces, what they are called, and
//! which tenant a process belongs to.

use super::Machine;
use super::machine::{Container, Process, Space, Tenant};

/// Generations of processes that are followed upwards.
const MAX_GENERATIONS: usize = 256;

/// What a tenant is, for clients.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Title<'a> {
    /// Its name.
    pub name: String,
    /// `proc`, or what made the container.
    pub kind: &'a str,
    /// What tells its name from the same one elsewhere: the container around it.
    pub prefix: &'a str,
}

impl Machine {
    /// Whether the process at a place is a tenant of its network namespace: the topmost one of a
    /// tree that lives in it, or of a container. Kernel threads are nobody's.
    #[must_use]
    pub fn is_tenant(&self, at: usize) -> bool {
        let Some(process) = self.processes.get(at) else { return false };
        if process.netns == 0 || process.is_kernel {
            return false;
        }
        let parent = self.process(process.ppid).filter(|parent| parent.netns != 0);
        let Some(parent) = parent else { return true };
        parent.netns != process.netns
            || (process.container.is_some() && parent.container != process.container)
    }

    /// The process behind a tenant.
    #[must_use]
    pub fn process_of(&self, tenant: &Tenant) -> Option<&Process> {
        self.processes.get(usize::try_from(tenant.process).ok()?)
    }

    /// What a tenant is called.
    #[must_use]
    pub fn title_of(&self, tenant: &Tenant) -> Option<Title<'_>> {
        let process = self.process_of(tenant)?;
        Some(match self.container(tenant.container) {
            Some(container) => Title {
                name: container.name().to_owned(),
                kind: container.id.engine.name(),
                prefix: self.prefix_of(container),
            },
            None => Title { name: proper(process), kind: "proc", prefix: "" },
        })
    }

    /// What tells containers of an engine within a container from those outside.
    #[must_use]
    pub fn prefix_of(&self, container: &Container) -> &str {
        self.container(container.outer).map_or("", Container::name)
    }

    /// Decides which tenants stand for their container: of several in the same one, such as those
    /// of `docker exec`, the one that came first. The others are processes.
    pub fn settle(&self, space: &mut Space) {
        let age = |tenant: &Tenant| {
            let process = self.process_of(tenant);
            process.map_or((u64::MAX, u32::MAX), |process| (process.starttime, process.pid))
        };
        space.tenants.sort_unstable_by_key(age);
        let mut taken: Vec<u16> = Vec::new();
        for tenant in &mut space.tenants {
            let place = usize::try_from(tenant.process).unwrap_or(usize::MAX);
            let container = self.processes.get(place).and_then(|process| process.container);
            tenant.container = container.filter(|container| !taken.contains(container));
            taken.extend(tenant.container);
        }
        space.tenants.sort_unstable_by_key(|tenant| tenant.process);
    }

    /// The tenant that a process belongs to, by its number: the nearest above it, itself
    /// included, in the same network namespace.
    #[must_use]
    pub fn tenant_above(&self, at: usize) -> Option<u32> {
        let first = self.processes.get(at)?;
        let mut here = at;
        for _ in 0..MAX_GENERATIONS {
            let process = self.processes.get(here).filter(|p| p.netns == first.netns)?;
            if self.is_tenant(here) {
                return Some(process.pid);
            }
            here = self.place_of(process.ppid)?;
        }
        None
    }
}

/// The name of a process that nobody gave another.
fn proper(process: &Process) -> String {
    let mut name = process.comm.to_string();
    let number = format!("({})", process.pid);
    name.truncate(super::clamp(&name, super::MAX_NAME.saturating_sub(number.len())).len());
    name + &number
}

#[cfg(test)]
mod tests {
    use super::super::cgroup::{Engine, Id};
    use super::super::runtime::Known;
    use super::*;

    fn process(pid: u32, ppid: u32, netns: u64) -> Process {
        let starttime = u64::from(pid) * 10;
        let comm = "p".into();
        Process { pid, ppid, netns, starttime, comm, ..Process::default() }
    }

    fn tenants(machine: &Machine) -> Vec<u32> {
        let places = (0..machine.processes.len()).filter(|at| machine.is_tenant(*at));
        places.map(|at| machine.processes[at].pid).collect()
    }

    #[test]
    fn the_topmost_process_of_each_tree_leads_it() {
        let kernel = Process { is_kernel: true, ..process(2, 0, 1) };
        let processes = vec![
            process(1, 0, 1),
            kernel,
            process(10, 1, 1),
            process(11, 10, 7),
            process(12, 11, 7),
            // Back in the first namespace, below one that is not.
            process(13, 12, 1),
            // Its parent is gone, or hidden.
            process(14, 99, 7),
            process(15, 10, 0),
            process(16, 15, 1),
        ];
        let machine = Machine { processes, ..Machine::default() };
        assert_eq!(tenants(&machine), [1, 11, 13, 14, 16]);
        let above = |pid| machine.tenant_above(machine.place_of(pid).unwrap());
        assert_eq!((above(10), above(12), above(13)), (Some(1), Some(11), Some(13)));
        assert_eq!(above(2), None);
    }

    #[test]
    fn processes_that_are_their_own_parents_end_the_search() {
        let processes = vec![process(5, 6, 1), process(6, 5, 1)];
        let machine = Machine { processes, ..Machine::default() };
        assert_eq!(machine.tenant_above(0), None);
    }

    #[test]
    fn a_container_has_one_tenant_and_its_name() {
        let id = |engine, id: &str| Id { engine, id: id.into() };
        let container = |id, outer, name: &str| Container {
            id,
            outer,
            group: Box::default(),
            known: Known { name: name.into(), ..Known::default() },
        };
        let long = "ab".repeat(32);
        let containers = vec![
            container(id(Engine::Docker, "x"), None, "outer"),
            container(id(Engine::Docker, &long), Some(0), ""),
        ];
        let inside = |pid, container| Process { container: Some(container), ..process(pid, 1, 7) };
        // The first container shares the network of the second; the last is an exec.
        let processes = vec![process(1, 0, 1), inside(5, 0), inside(6, 1), inside(9, 1)];
        let machine = Machine { processes, containers, ..Machine::default() };
        let tenant = |process| Tenant { process, ..Tenant::default() };
        let mut space =
            Space { tenants: vec![tenant(3), tenant(2), tenant(1)], ..Space::default() };
        machine.settle(&mut space);
        let titles = space.tenants.iter().map(|tenant| machine.title_of(tenant).unwrap());
        let titles: Vec<(String, &str, &str)> =
            titles.map(|title| (title.name, title.kind, title.prefix)).collect();
        let expected = [
            ("outer".to_owned(), "docker", ""),
            ("abababababab".to_owned(), "docker", "outer"),
            ("p(9)".to_owned(), "proc", ""),
        ];
        assert_eq!(titles, expected);
    }
}
