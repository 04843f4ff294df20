//! What `/proc/PID` says of a process (proc_pid_stat(5), proc_pid_status(5)). The name of a
//! process is its own choice: it may have parentheses, blanks and line breaks in it.

use super::{MAX_NAME, name_of};

/// PF_KTHREAD of linux/sched.h.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// One line of `/proc/PID/stat`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stat {
    /// Its number.
    pub pid: u32,
    /// What it calls itself.
    pub comm: Box<str>,
    /// The number of its parent; 0 for none in sight.
    pub ppid: u32,
    /// A thread of the kernel.
    pub is_kernel: bool,
    /// Its priority, as the kernel counts.
    pub priority: i32,
    /// Its niceness, -20 to 19.
    pub nice: i32,
    /// When it started, in clock ticks since the start of the machine.
    pub starttime: u64,
    /// SCHED_ policy.
    pub policy: u32,
}

impl Stat {
    /// Reads the line; `None` for what is none.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let open = line.iter().position(|b| *b == b'(')?;
        // Behind the last one: the name may have some of its own.
        let close = line.iter().rposition(|b| *b == b')')?;
        let pid = number(line.get(..open)?)?;
        let comm = name_of(line.get(open.checked_add(1)?..close)?);
        let rest = std::str::from_utf8(line.get(close.checked_add(1)?..)?).ok()?;
        let mut words = rest.split_ascii_whitespace();
        // Fields 3 (state) and 4, counted from one.
        let ppid = words.nth(1)?.parse().ok()?;
        let flags: u32 = words.nth(4)?.parse().ok()?;
        let priority = words.nth(8)?.parse().ok()?;
        let nice = words.next()?.parse().ok()?;
        let starttime = words.nth(2)?.parse().ok()?;
        let policy = words.nth(18).and_then(|word| word.parse().ok()).unwrap_or(0);
        let is_kernel = flags & KERNEL_THREAD != 0;
        Some(Self { pid, comm, ppid, is_kernel, priority, nice, starttime, policy })
    }
}

/// The set of capabilities that a process can ever have, from `/proc/PID/status`.
#[must_use]
pub fn bounding_set(status: &[u8]) -> Option<u64> {
    // The name of the process comes before it, with its line breaks escaped.
    let mut lines = status.split(|b| *b == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(b"CapBnd:"))?;
    u64::from_str_radix(std::str::from_utf8(value).ok()?.trim(), 16).ok()
}

/// The processors that a process may run on, from `/proc/PID/status`: ranges, both ends
/// included.
#[must_use]
pub fn affinity(status: &[u8]) -> Vec<(u32, u32)> {
    const MAX_RANGES: usize = 64;
    let mut lines = status.split(|b| *b == b'\n');
    let value = lines.find_map(|line| line.strip_prefix(b"Cpus_allowed_list:"));
    let ranges = value.unwrap_or_default().split(|b| *b == b',').take(MAX_RANGES);
    ranges
        .filter_map(|range| {
            let mut ends = range.splitn(2, |b| *b == b'-');
            let from = number(ends.next()?)?;
            Some((from, ends.next().map_or(Some(from), number)?))
        })
        .collect()
}

/// The arguments of a process as one line, at most [`MAX_COMMAND`] octets.
#[must_use]
pub fn command_line(bytes: &[u8]) -> Box<str> {
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at.saturating_add(1));
    let words: Vec<u8> = bytes
        .get(..end)
        .unwrap_or_default()
        .iter()
        .take(MAX_COMMAND)
        .map(|b| if *b == 0 { b' ' } else { *b })
        .collect();
    super::clamp(&String::from_utf8_lossy(&words), MAX_COMMAND).into()
}

/// Octets of a command line that are shown.
pub const MAX_COMMAND: usize = 4 * MAX_NAME;

/// The number in what a link of `/proc/PID/ns` leads to, such as `net:[4026531840]`.
#[must_use]
pub fn namespace_of(link: &[u8], kind: &str) -> Option<u64> {
    let rest = link.strip_prefix(kind.as_bytes())?.strip_prefix(b":[")?.strip_suffix(b"]")?;
    number(rest)
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(comm: &[u8]) -> Vec<u8> {
        let tail: &[u8] = b") S 7 4711 4711 0 -1 4194560 100 0 0 0 1 2 0 0 20 -5 1 0 179264 1 2 \
            18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 2 0 0 0\n";
        [b"4711 (", comm, tail].concat()
    }

    #[test]
    fn the_name_may_have_anything_in_it() {
        for comm in [&b"sh"[..], b"a) S 1 (b", b"x\n) R 9", b")", b"", b"(((", b"\xff\xfe"] {
            let stat = Stat::parse(&line(comm)).unwrap();
            assert_eq!(*stat.comm, *String::from_utf8_lossy(comm));
            assert_eq!((stat.pid, stat.ppid, stat.starttime), (4_711, 7, 179_264));
            assert_eq!((stat.priority, stat.nice, stat.policy), (20, -5, 2));
            assert!(!stat.is_kernel);
        }
    }

    #[test]
    fn the_own_line_is_read_and_kernel_threads_are_told_apart() {
        let own = std::fs::read("/proc/self/stat").unwrap();
        assert_eq!(Stat::parse(&own).unwrap().pid, std::process::id());
        let kernel = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0 0";
        let stat = Stat::parse(kernel).unwrap();
        assert!(stat.is_kernel && stat.starttime == 3);
    }

    #[test]
    fn what_is_no_such_line_is_none() {
        for line in [&b""[..], b"1", b"1 (a", b"1 )a(", b"1 (a) S", b"x (a) S 1 2 3", b"()()"] {
            assert_eq!(Stat::parse(line), None, "{line:?}");
        }
        let huge = vec![b')'; 1 << 20];
        assert_eq!(Stat::parse(&huge), None);
    }

    #[test]
    fn other_files_are_read_as_far_as_they_make_sense() {
        let status = b"Name:\tCapBnd:\\nx\nCapBnd:\t000001ffffffffff\n";
        assert_eq!(bounding_set(status), Some(0x1ff_ffff_ffff));
        assert_eq!(bounding_set(b"CapBnd:\tx\n"), None);
        let status = b"Name:\tx\nCpus_allowed_list:\t0-3,5,7-x,9\n";
        assert_eq!(affinity(status), [(0, 3), (5, 5), (9, 9)]);
        assert_eq!(&*command_line(b"udhcpd\0-f\0\0"), "udhcpd -f");
        assert_eq!(&*command_line(b""), "");
        assert!(command_line(&[b'\xff'; 1 << 20]).len() <= MAX_COMMAND);
        assert_eq!(namespace_of(b"net:[4026531840]", "net"), Some(4_026_531_840));
        for link in [&b"net:[x]"[..], b"mnt:[1]", b"net:[1", b""] {
            assert_eq!(namespace_of(link, "net"), None);
        }
    }
}
