//! What container runtimes keep on disk of a container: its name and labels, without asking the
//! engine. The files are read as far as they make sense; labels are written by whoever started
//! the container.

use serde_json::{Map, Value};

use super::cgroup::Engine;
use super::{MAX_NAME, clamp};

/// Octets of a file that is read at all: those of runtimes have some tens of thousands.
pub const MAX_FILE: usize = 256 * 1024;

/// Labels of a container that are kept.
const MAX_LABELS: usize = 64;

/// What is known of a container.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Known {
    /// Its name.
    pub name: Box<str>,
    /// Its labels.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// Namespace and name of the pod that it is in.
    pub pod: Option<(Box<str>, Box<str>)>,
    /// It is there for the pod's sake alone.
    pub is_sandbox: bool,
}

/// Where a container's file may be, each path to be tried in turn; `state` is the folder in which
/// containerd keeps a folder for each of its namespaces.
#[must_use]
pub fn places(engine: Engine, id: &str, containerd: &[String]) -> Vec<String> {
    let mut places = Vec::new();
    if matches!(engine, Engine::Docker | Engine::Cri) {
        places.push(format!("/var/lib/docker/containers/{id}/config.v2.json"));
    }
    if matches!(engine, Engine::Podman | Engine::Cri) {
        for storage in ["/run/containers/storage", "/var/lib/containers/storage"] {
            places.push(format!("{storage}/overlay-containers/{id}/userdata/config.json"));
        }
    }
    if matches!(engine, Engine::Containerd | Engine::Cri) {
        places.extend(containerd.iter().map(|space| format!("{space}/{id}/config.json")));
    }
    places
}

/// Lists of all containers, for those whose own file says no name.
#[must_use]
pub const fn lists(engine: Engine) -> &'static [&'static str] {
    match engine {
        Engine::Podman => &[
            "/var/lib/containers/storage/overlay-containers/containers.json",
            "/run/containers/storage/overlay-containers/volatile-containers.json",
        ],
        _ => &[],
    }
}

impl Known {
    /// Takes in a container's own file: Docker's, or the bundle that a runtime was given.
    /// `true` if it was one.
    pub fn read(&mut self, file: &[u8]) -> bool {
        let Ok(Value::Object(file)) = serde_json::from_slice(file) else { return false };
        let mut labels = Labels::default();
        if let Some(name) = text(&file, "Name") {
            self.set_name(name.trim_start_matches('/'));
        }
        if let Some(Value::Object(config)) = file.get("Config") {
            labels.take(config.get("Labels"));
        }
        labels.take(file.get("annotations"));
        self.take(labels);
        true
    }

    /// Takes in a list of containers, of which the one with this id is meant.
    pub fn read_list(&mut self, file: &[u8], id: &str) {
        let Ok(Value::Array(list)) = serde_json::from_slice(file) else { return };
        for entry in list.iter().filter_map(Value::as_object) {
            if text(entry, "id") != Some(id) {
                continue;
            }
            if let Some(Value::Array(names)) = entry.get("names")
                && let Some(name) = names.iter().find_map(Value::as_str)
            {
                self.set_name(name);
            }
        }
    }

    fn take(&mut self, labels: Labels) {
        let get = |keys: &[&str]| {
            let found = keys.iter().find_map(|key| labels.0.iter().find(|(k, _)| &**k == *key));
            found.map(|(_, value)| &**value).filter(|value| !value.is_empty())
        };
        let name = get(&[
            "io.kubernetes.cri.container-name",
            "io.kubernetes.container.name",
            "nerdctl/name",
            "io.podman.annotations.container.name",
            "io.kubernetes.cri-o.Name",
        ]);
        if let Some(name) = name {
            self.set_name(name);
        }
        let space = get(&["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]);
        let pod = get(&["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]);
        if let (Some(space), Some(pod)) = (space, pod) {
            self.pod = Some((space.into(), pod.into()));
        }
        let kind = get(&[
            "io.kubernetes.cri.container-type",
            "io.kubernetes.docker.type",
            "io.kubernetes.cri-o.ContainerType",
        ]);
        self.is_sandbox = matches!(kind, Some("sandbox" | "podsandbox"));
        self.labels = labels.0;
    }

    fn set_name(&mut self, name: &str) {
        if !name.is_empty() {
            self.name = clamp(name, MAX_NAME).into();
        }
    }
}

#[derive(Default)]
struct Labels(Vec<(Box<str>, Box<str>)>);

impl Labels {
    fn take(&mut self, value: Option<&Value>) {
        let Some(Value::Object(map)) = value else { return };
        let texts = map.iter().filter_map(|(key, value)| Some((key, value.as_str()?)));
        let room = MAX_LABELS.saturating_sub(self.0.len());
        let kept = texts.take(room);
        self.0.extend(kept.map(|(k, v)| (clamp(k, MAX_NAME).into(), clamp(v, MAX_NAME).into())));
    }
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_file_says_name_and_labels() {
        let mut known = Known::default();
        let file = br#"{"Name":"/web-1","Config":{"Labels":{"a":"b","n":1}},"State":{}}"#;
        assert!(known.read(file));
        assert_eq!(&*known.name, "web-1");
        assert_eq!(known.labels, [("a".into(), "b".into())]);
        assert_eq!(known.pod, None);
    }

    #[test]
    fn annotations_say_the_name_and_the_pod() {
        let mut known = Known::default();
        let file = br#"{"ociVersion":"1.0","annotations":{
            "io.kubernetes.cri.container-name":"nginx",
            "io.kubernetes.cri.container-type":"container",
            "io.kubernetes.cri.sandbox-name":"web-0",
            "io.kubernetes.cri.sandbox-namespace":"default"}}"#;
        assert!(known.read(file));
        assert_eq!(&*known.name, "nginx");
        assert_eq!(known.pod, Some(("default".into(), "web-0".into())));
        assert!(!known.is_sandbox);
        let mut pause = Known::default();
        pause.read(br#"{"annotations":{"io.kubernetes.cri.container-type":"sandbox"}}"#);
        assert!(pause.is_sandbox);
        let mut nerdctl = Known::default();
        nerdctl.read(br#"{"annotations":{"nerdctl/name":"box"}}"#);
        assert_eq!(&*nerdctl.name, "box");
    }

    #[test]
    fn podmans_list_names_the_one_that_is_meant() {
        let file = br#"[{"id":"a","names":["one"]},{"id":"b","names":["two","other"]},7]"#;
        let mut known = Known::default();
        known.read_list(file, "b");
        assert_eq!(&*known.name, "two");
        known.read_list(file, "c");
        assert_eq!(&*known.name, "two");
    }

    #[test]
    fn hostile_files_do_no_harm() {
        let deep = b"[".repeat(100_000);
        let long = format!(r#"{{"Name":"/{}"}}"#, "x".repeat(100_000));
        for file in [&b""[..], b"[]", b"{", b"null", b"{\"Name\":7}", &deep, b"\xff"] {
            let mut known = Known::default();
            known.read(file);
            known.read_list(file, "a");
            assert_eq!(known, Known::default());
        }
        let mut known = Known::default();
        known.read(long.as_bytes());
        assert_eq!(known.name.len(), MAX_NAME);
    }
}
