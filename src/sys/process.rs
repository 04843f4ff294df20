#![allow(unsafe_code)]
//! What the process is told about itself and the machine, and the limits it sets for itself at
//! start. Everything that `/proc` could lack is an `Option`.

use std::ffi::{CStr, c_char};
use std::fs;
use std::io;
use std::mem::zeroed;

use crate::sys::socket;

/// CPU time used and memory held by this process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Seconds of CPU in our own code.
    pub user_seconds: f64,
    /// Seconds of CPU in the kernel on our behalf.
    pub system_seconds: f64,
    /// The largest resident set so far, in KiB.
    pub peak_rss_kib: u64,
    /// The resident set now, in KiB; 0 without `/proc`.
    pub rss_kib: u64,
}

/// What uname(2) says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Machine {
    /// The host name.
    pub host: String,
    /// The kernel release.
    pub release: String,
    /// The hardware name, such as `armv7l`.
    pub hardware: String,
    /// The operating system, `Linux`.
    pub system: String,
}

/// CPU time and memory of this process.
#[must_use]
pub fn usage() -> Usage {
    // SAFETY: integers, for which zero is valid.
    let mut read: libc::rusage = unsafe { zeroed() };
    // SAFETY: the pointer is to a live rusage.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut read) } != 0 {
        return Usage::default();
    }
    Usage {
        user_seconds: seconds(read.ru_utime),
        system_seconds: seconds(read.ru_stime),
        peak_rss_kib: u64::try_from(read.ru_maxrss).unwrap_or(0),
        rss_kib: rss_kib().unwrap_or(0),
    }
}

/// Open descriptors of this process, the one that reads the list left out.
#[must_use]
pub fn open_descriptors() -> Option<usize> {
    let listed = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(listed.saturating_sub(1))
}

/// Processors that are online.
#[must_use]
pub fn cpus() -> u32 {
    // SAFETY: no pointers are passed.
    let online = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    u32::try_from(online).unwrap_or(1).max(1)
}

/// Bytes of a page.
#[must_use]
pub fn page_size() -> usize {
    // SAFETY: no pointers are passed.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4_096)
}

/// Bytes of memory in the machine.
#[must_use]
#[expect(clippy::useless_conversion, reason = "the fields have 32 bits elsewhere")]
pub fn total_ram() -> u64 {
    // SAFETY: integers, for which zero is valid.
    let mut info: libc::sysinfo = unsafe { zeroed() };
    // SAFETY: the pointer is to a live sysinfo.
    if unsafe { libc::sysinfo(&raw mut info) } != 0 {
        return 0;
    }
    u64::from(info.totalram).saturating_mul(u64::from(info.mem_unit.max(1)))
}

/// Names of machine and kernel.
#[must_use]
pub fn machine() -> Machine {
    // SAFETY: arrays of bytes, for which zero is valid.
    let mut read: libc::utsname = unsafe { zeroed() };
    // SAFETY: the pointer is to a live utsname.
    if unsafe { libc::uname(&raw mut read) } != 0 {
        return Machine::default();
    }
    Machine {
        host: text(&read.nodename),
        release: text(&read.release),
        hardware: text(&read.machine),
        system: text(&read.sysname),
    }
}

/// The effective user id.
#[must_use]
pub fn effective_user() -> u32 {
    // SAFETY: no pointers are passed and it cannot fail.
    unsafe { libc::geteuid() }
}

/// Opens `/dev/null` for each of the descriptors 0 to 2 that is closed, so that no socket becomes
/// somebody's standard error. Returns how many were closed.
///
/// # Errors
///
/// There is no `/dev/null`.
pub fn fill_standard_descriptors() -> io::Result<u32> {
    let mut opened = 0_u32;
    loop {
        // SAFETY: the path is a C string; the lowest free number is what open(2) returns.
        let fd = socket::check(unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) })?;
        if fd > 2 {
            // SAFETY: opened right above and known to nobody else.
            unsafe { libc::close(fd) };
            return Ok(opened);
        }
        // 0 to 2 stay open for good.
        opened = opened.saturating_add(1);
    }
}

/// Raises the limit of open descriptors to `wanted`, or as far as is allowed; returns the limit.
#[expect(clippy::useless_conversion, reason = "rlim_t has 32 bits on some targets")]
pub fn raise_descriptor_limit(wanted: u32) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit.
    socket::check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    let wanted = libc::rlim_t::from(wanted);
    if limit.rlim_cur >= wanted {
        return Ok(u64::from(limit.rlim_cur));
    }
    let raised = libc::rlimit { rlim_cur: wanted, rlim_max: limit.rlim_max.max(wanted) };
    // SAFETY: the pointer is to a live rlimit.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
        return Ok(u64::from(wanted));
    }
    // Only root may raise the hard limit.
    limit.rlim_cur = wanted.min(limit.rlim_max);
    // SAFETY: as above.
    socket::check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(u64::from(limit.rlim_cur))
}

/// No core files and no reading of our memory by others: dumps would hold traffic.
///
/// # Errors
///
/// As setrlimit(2) and prctl(2).
pub fn forbid_dumps() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit.
    socket::check(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) })?;
    let zero: libc::c_ulong = 0;
    // SAFETY: no pointers are passed.
    socket::check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, zero, zero, zero, zero) })?;
    Ok(())
}

/// Tells the kernel how soon to choose this process when memory runs out (−1000 to 1000).
///
/// # Errors
///
/// As writing the file; lowering the value takes privilege.
pub fn set_oom_score(adjustment: i16) -> io::Result<()> {
    fs::write("/proc/self/oom_score_adj", adjustment.to_string())
}

/// The current resident set.
fn rss_kib() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = u64::try_from(page_size()).ok()?;
    Some(pages.saturating_mul(page) / 1_024)
}

#[expect(clippy::cast_precision_loss, reason = "seconds of CPU time, for display")]
fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

fn text(field: &[c_char]) -> String {
    // SAFETY: the same bytes; c_char is u8 or i8 by target, and both have the same layout.
    let bytes = unsafe { std::slice::from_raw_parts(field.as_ptr().cast::<u8>(), field.len()) };
    CStr::from_bytes_until_nul(bytes)
        .map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_this_process_are_plausible() {
        let usage = usage();
        assert!(usage.rss_kib > 100 && usage.peak_rss_kib > 100, "{usage:?}");
        assert!(open_descriptors().unwrap() >= 3);
        assert!(total_ram() > 16 << 20 && page_size() >= 4_096 && cpus() >= 1);
        assert_eq!(machine().system, "Linux");
    }

    #[test]
    fn the_descriptor_limit_is_raised_never_lowered() {
        let before = raise_descriptor_limit(1).unwrap();
        let after = raise_descriptor_limit(1_024).unwrap();
        assert!(after >= before.min(1_024));
        assert_eq!(fill_standard_descriptors().unwrap(), 0);
    }
}
