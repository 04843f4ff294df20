//! What the host's node says of the machine, from the files that describe it: os-release(5),
//! `/proc/cpuinfo`, the kernel's command line. Nothing of it is certain to be there; what is not
//! is left out.

use super::value::{Map, Value};
use crate::text::decimal;

/// Processors that are listed.
const MAX_CPUS: usize = 512;

/// Words of the kernel's command line that are shown.
const MAX_WORDS: usize = 128;

/// The contents of the files, empty where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files<'a> {
    /// `/etc/os-release`.
    pub release: &'a str,
    /// `/proc/cpuinfo`.
    pub cpuinfo: &'a str,
    /// `/proc/cmdline`.
    pub cmdline: &'a str,
    /// `/sys/devices/system/cpu/isolated`.
    pub isolated: &'a str,
    /// `/sys/class/dmi/id/sys_vendor` and `product_name`, one after the other.
    pub vendor: &'a str,
    /// Whether a hypervisor runs on this machine: `/dev/kvm` is there.
    pub hypervisor: bool,
    /// What uname(2) calls the kernel: its release.
    pub kernel: &'a str,
    /// Identifies this installation.
    pub instance: &'a str,
}

/// The members of the node's metadata.
#[must_use]
pub fn describe(files: &Files<'_>) -> Map {
    let mut map = Map::new().with("OS", "linux");
    let release = |key: &str| field(files.release, key, '=');
    let platform = release("ID").unwrap_or_default();
    map.put("Platform", some(&platform));
    map.put("PlatformFamily", some(&family(&platform, &release("ID_LIKE").unwrap_or_default())));
    map.put("PlatformVersion", some(&release("VERSION_ID").unwrap_or_default()));
    map.put("KernelVersion", some(files.kernel));
    let words = command_line(files.cmdline);
    map.put("KernelCmdLine", Some(words).filter(|words| !words.is_empty()));
    if let Some((system, role)) = virtualization(files) {
        map.set("VirtualizationSystem", system);
        map.set("VirtualizationRole", role);
    }
    map.put("InstanceID", some(files.instance));
    let isolated = cpu_list(files.isolated);
    map.put("IsolatedCPU", Some(isolated).filter(|list| !list.is_empty()));
    let cpus: Vec<Value> = cpus(files.cpuinfo).collect();
    map.put("CPU", Some(cpus).filter(|list| !list.is_empty()));
    map
}

/// The processors, under the names that Skydive's clients know.
fn cpus(text: &str) -> impl Iterator<Item = Value> {
    text.split("\n\n").filter(|block| field(block, "processor", ':').is_some()).take(MAX_CPUS).map(
        |block| {
            let text = |key| field(block, key, ':').unwrap_or_default();
            let number = |key| text(key).parse::<i64>().ok();
            let mut map = Map::new();
            map.put("CPU", number("processor"));
            for (name, key) in [
                ("VendorID", "vendor_id"),
                ("Family", "cpu family"),
                ("Model", "model"),
                ("PhysicalID", "physical id"),
                ("CoreID", "core id"),
                ("ModelName", "model name"),
                ("Microcode", "microcode"),
            ] {
                map.put(name, some(&text(key)));
            }
            map.put("Stepping", number("stepping"));
            map.put("Cores", number("cpu cores"));
            map.put("Mhz", decimal(&text("cpu MHz")).map(number_of));
            let cache = text("cache size");
            let cache = cache.split(' ').next().and_then(|size| size.parse::<i64>().ok());
            map.put("CacheSize", cache);
            map.into()
        },
    )
}

/// A number of megahertz: whole ones without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "within the range that is checked")]
fn number_of(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        Value::Int(value as i64)
    } else {
        Value::Float(value)
    }
}

/// `key=value` words; those without a value have an empty one.
fn command_line(text: &str) -> Map {
    let mut map = Map::new();
    for word in text.split_ascii_whitespace().take(MAX_WORDS) {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        map.set(key.to_owned(), value);
    }
    map
}

/// On what the machine runs, and whether it is the one that runs others.
fn virtualization(files: &Files<'_>) -> Option<(&'static str, &'static str)> {
    let flags = field(files.cpuinfo, "flags", ':').unwrap_or_default();
    let vendor = files.vendor.to_ascii_lowercase();
    for (word, system) in [
        ("qemu", "kvm"),
        ("kvm", "kvm"),
        ("firecracker", "kvm"),
        ("amazon ec2", "kvm"),
        ("google", "kvm"),
        ("vmware", "vmware"),
        ("virtualbox", "vbox"),
        ("xen", "xen"),
        ("microsoft corporation", "hyperv"),
        ("bhyve", "bhyve"),
    ] {
        if vendor.contains(word) {
            return Some((system, "guest"));
        }
    }
    if flags.split(' ').any(|flag| flag == "hypervisor") {
        return Some(("kvm", "guest"));
    }
    files.hypervisor.then_some(("kvm", "host"))
}

/// The family of a distribution, as `PlatformFamily` has it.
fn family(platform: &str, like: &str) -> String {
    let known = |name: &str| match name {
        "debian" | "ubuntu" | "linuxmint" | "raspbian" => Some("debian"),
        "fedora" => Some("fedora"),
        "rhel" | "centos" | "rocky" | "almalinux" | "ol" => Some("rhel"),
        "suse" | "opensuse" | "sles" | "opensuse-leap" => Some("suse"),
        "arch" => Some("arch"),
        "alpine" => Some("alpine"),
        "openwrt" | "lede" => Some("openwrt"),
        "gentoo" => Some("gentoo"),
        _ => None,
    };
    let mut names = std::iter::once(platform).chain(like.split(' '));
    names.find_map(known).unwrap_or(platform).to_owned()
}

/// A list such as `2-5,7`.
fn cpu_list(text: &str) -> Vec<Value> {
    let mut list = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>()) else { continue };
        list.extend((from..=to).take(MAX_CPUS.saturating_sub(list.len())).map(Value::from));
    }
    list
}

/// The value of the first line with that key, without quotes.
fn field(text: &str, key: &str, separator: char) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once(separator));
    let (_, value) = lines.find(|(name, _)| name.trim_end() == key)?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_described_by_its_files() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n\
            model name\t: Xeon\nstepping\t: 7\nmicrocode\t: 0x1\ncpu MHz\t\t: 2500.000\n\
            cache size\t: 36608 KB\nphysical id\t: 0\ncore id\t\t: 1\ncpu cores\t: 2\n\
            flags\t\t: fpu hypervisor\n\nprocessor\t: 1\ncpu MHz\t\t: 2499.5\n\n";
        let map = describe(&Files {
            release: "NAME=x\nID=\"openwrt\"\nID_LIKE='lede openwrt'\nVERSION_ID=24.10\n",
            cpuinfo,
            cmdline: "console=ttyS0 quiet root=UUID=1\n",
            isolated: "1-2,5\n",
            kernel: "6.6.1",
            instance: "abc",
            ..Files::default()
        });
        let mut out = Vec::new();
        map.write(&mut out);
        let found: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = serde_json::json!({
            "OS": "linux", "Platform": "openwrt", "PlatformFamily": "openwrt",
            "PlatformVersion": "24.10", "KernelVersion": "6.6.1", "InstanceID": "abc",
            "KernelCmdLine": {"console": "ttyS0", "quiet": "", "root": "UUID=1"},
            "VirtualizationSystem": "kvm", "VirtualizationRole": "guest",
            "IsolatedCPU": [1, 2, 5],
            "CPU": [
                {"CPU": 0, "VendorID": "GenuineIntel", "Family": "6", "Model": "85",
                 "Stepping": 7, "PhysicalID": "0", "CoreID": "1", "Cores": 2,
                 "ModelName": "Xeon", "Mhz": 2500, "CacheSize": 36608, "Microcode": "0x1"},
                {"CPU": 1, "Mhz": 2499.5},
            ],
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn a_machine_without_files_has_a_node_all_the_same() {
        assert_eq!(describe(&Files::default()), Map::new().with("OS", "linux"));
    }
}
