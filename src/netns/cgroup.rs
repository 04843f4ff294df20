//! Which container a process is in, from `/proc/PID/cgroup` (cgroups(7)): runtimes put the id of
//! the container into the path, each in its own way.

use super::name_of;

/// Octets of a file of groups that are looked at.
const MAX_FILE: usize = 16 * 1024;

/// Containers within containers that are told apart.
pub const MAX_NESTING: usize = 4;

/// Who made a container.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Engine {
    /// containerd, by nerdctl or another client.
    Containerd,
    /// Kubernetes: containerd or CRI-O by way of its interface.
    Cri,
    /// Docker.
    Docker,
    /// LXC.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
    /// Podman.
    Podman,
}

impl Engine {
    /// As documents call what it makes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Cri => "CRI",
            Self::Docker => "docker",
            Self::Lxc => "lxc",
            Self::Nspawn => "systemd-nspawn",
            Self::Podman => "podman",
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Containerd => "containerd Container",
            Self::Cri => "Kubernetes Container",
            Self::Docker => "Docker Container",
            Self::Lxc => "LXC Container",
            Self::Nspawn => "systemd-nspawn Container",
            Self::Podman => "Podman Container",
        }
    }
}

/// A container as the path of a group names it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Id {
    /// Who made it.
    pub engine: Engine,
    /// Its id: 64 hexadecimal digits, for LXC and nspawn its name.
    pub id: Box<str>,
}

/// The containers that a process is in, the outermost first, and the path that says so.
#[must_use]
pub fn containers(file: &[u8]) -> (Vec<Id>, &[u8]) {
    let mut found: (Vec<Id>, &[u8]) = (Vec::new(), &[]);
    let file = file.get(..MAX_FILE).unwrap_or(file);
    for line in file.split(|b| *b == b'\n') {
        // Hierarchy, controllers, path; a colon may be in the path as well.
        let Some(path) = line.splitn(3, |b| *b == b':').nth(2) else { continue };
        let ids = of_path(path);
        // Old hierarchies may be in use for some controllers only.
        if ids.len() > found.0.len() {
            found = (ids, path);
        }
    }
    found
}

fn of_path(path: &[u8]) -> Vec<Id> {
    let mut found: Vec<Id> = Vec::new();
    let (mut parent, mut pods): (&[u8], bool) = (&[], false);
    for segment in path.split(|b| *b == b'/').filter(|segment| !segment.is_empty()) {
        pods |= segment.starts_with(b"kubepods");
        if let Some(id) = of_segment(segment, parent, pods)
            && found.len() < MAX_NESTING
            && found.last() != Some(&id)
        {
            found.push(id);
        }
        parent = segment;
    }
    found
}

fn of_segment(segment: &[u8], parent: &[u8], pods: bool) -> Option<Id> {
    let id = |engine, id: &[u8]| Some(Id { engine, id: name_of(id) });
    let named = |prefix: &[u8], suffix: &[u8]| {
        let name = segment.strip_prefix(prefix)?.strip_suffix(suffix)?;
        (!name.is_empty()).then_some(name)
    };
    if let Some(name) = named(b"lxc.payload.", b"") {
        return id(Engine::Lxc, name);
    }
    if parent == b"lxc" {
        return id(Engine::Lxc, segment);
    }
    if let Some(name) =
        named(b"machine-", b".scope").or_else(|| named(b"systemd-nspawn@", b".service"))
    {
        // systemd writes what is no letter as \xNN; a hyphen is the common case.
        let plain = String::from_utf8_lossy(name).replace("\\x2d", "-");
        return id(Engine::Nspawn, plain.as_bytes());
    }
    let bare = segment.strip_suffix(b".scope").unwrap_or(segment);
    let digits = bare.rsplit(|b| *b == b'-').next()?;
    if !(digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit)) {
        return None;
    }
    let engine = match bare.get(..bare.len().saturating_sub(digits.len()))? {
        b"docker-" if pods => Engine::Cri,
        b"docker-" => Engine::Docker,
        b"libpod-" => Engine::Podman,
        b"cri-containerd-" | b"crio-" | b"cri-dockerd-" => Engine::Cri,
        b"nerdctl-" | b"containerd-" => Engine::Containerd,
        // The monitors of Podman and CRI-O live beside the container.
        prefix if prefix.ends_with(b"conmon-") => return None,
        b"" if pods => Engine::Cri,
        b"" if parent == b"docker" => Engine::Docker,
        b"" if parent == b"libpod_parent" => Engine::Podman,
        _ => Engine::Containerd,
    };
    id(engine, digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn read(path: &str) -> Vec<(Engine, String)> {
        let file = format!("0::{path}\n");
        let (found, at) = containers(file.as_bytes());
        assert!(found.is_empty() || at == path.as_bytes());
        found.into_iter().map(|id| (id.engine, id.id.into())).collect()
    }

    #[test]
    fn each_runtime_has_its_own_paths() {
        for (path, engine) in [
            ("/docker/A", Engine::Docker),
            ("/system.slice/docker-A.scope", Engine::Docker),
            ("/machine.slice/libpod-A.scope/container", Engine::Podman),
            ("/libpod_parent/libpod-A", Engine::Podman),
            ("/kubepods/besteffort/pod0b1c/A", Engine::Cri),
            ("/kubepods.slice/kubepods-pod1.slice/cri-containerd-A.scope", Engine::Cri),
            ("/kubepods.slice/kubepods-pod1.slice/crio-A.scope", Engine::Cri),
            ("/kubepods.slice/kubepods-pod1.slice/docker-A.scope", Engine::Cri),
            ("/default/A", Engine::Containerd),
            ("/user.slice/nerdctl-A.scope", Engine::Containerd),
        ] {
            assert_eq!(read(&path.replace('A', A)), [(engine, A.to_owned())], "{path}");
        }
        assert_eq!(read("/lxc/web"), [(Engine::Lxc, "web".to_owned())]);
        assert_eq!(read("/lxc.payload.web/x"), [(Engine::Lxc, "web".to_owned())]);
        let nspawn = "/machine.slice/machine-my\\x2dbox.scope";
        assert_eq!(read(nspawn), [(Engine::Nspawn, "my-box".to_owned())]);
    }

    #[test]
    fn what_is_no_container_is_none() {
        for path in [
            "/",
            "/system.slice/ssh.service",
            "/system.slice/docker.service",
            "/docker/short",
            "/machine.slice/libpod-conmon-A.scope",
            "/kubepods.slice/crio-conmon-A.scope",
            "/user.slice/machine-.scope",
        ] {
            assert_eq!(read(&path.replace('A', A)), [], "{path}");
        }
        let huge = vec![b'/'; 1 << 20];
        assert_eq!(containers(&huge).0, []);
        assert_eq!(containers(&[b"0::/docker/", &[b'f'; 1 << 20][..]].concat()).0, []);
        assert_eq!(containers(b"\xff\xff:::/\n::\n").0, []);
    }

    #[test]
    fn containers_in_containers_are_told_from_the_outside_in() {
        let b = A.replace('0', "9");
        let path = format!("/docker/{A}/docker/{b}");
        let expected = [(Engine::Docker, A.to_owned()), (Engine::Docker, b)];
        assert_eq!(read(&path), expected);
        let file = format!("12:memory:/docker/{A}\n1:name=systemd:/\n0::/\n");
        assert_eq!(containers(file.as_bytes()).0.len(), 1);
    }
}
