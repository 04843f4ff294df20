#![allow(unsafe_code)]
//! Capabilities (capabilities(7)): which the process has, and giving up all but a few for good.

use std::io;

use crate::sys::socket;

/// A set of capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Give files to another group: that of a Unix socket.
    pub const CHOWN: Self = Self(1);
    /// Read any file: process attribution needs it.
    pub const DAC_READ_SEARCH: Self = Self(1 << 2);
    /// Promiscuous mode and large netlink buffers.
    pub const NET_ADMIN: Self = Self(1 << 12);
    /// Packet sockets.
    pub const NET_RAW: Self = Self(1 << 13);
    /// Look into processes of other users.
    pub const SYS_PTRACE: Self = Self(1 << 19);
    /// Enter network namespaces.
    pub const SYS_ADMIN: Self = Self(1 << 21);

    /// Those of both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are in it.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Names as capabilities(7) spells them, in lower case without `cap_`; numbers for those that
    /// came later than this list.
    pub fn names(self) -> impl Iterator<Item = String> {
        (0..64_u32).filter(move |bit| self.0 & (1 << bit) != 0).map(|bit| {
            let known = usize::try_from(bit).ok().and_then(|at| NAMES.get(at));
            known.map_or_else(|| bit.to_string(), |name| (*name).to_owned())
        })
    }
}

/// In the order of linux/capability.h.
const NAMES: &[&str] = &[
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// `struct __user_cap_header_struct`, version 3.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`; version 3 takes two, low half first.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const _: () = assert!(size_of::<Header>() == 8 && size_of::<Half>() == 12);

const VERSION_3: u32 = 0x2008_0522;

/// The capabilities in effect.
///
/// # Errors
///
/// As capget(2).
pub fn effective() -> io::Result<Capabilities> {
    let [low, high] = get()?;
    Ok(Capabilities(u64::from(high.effective) << 32 | u64::from(low.effective)))
}

/// Gives up everything but `kept` (as far as the process has it), for good: the bounding set is
/// cut down to it, inheritable and ambient sets are emptied. Acts on the calling thread, so it
/// comes before any other is started.
///
/// # Errors
///
/// As capset(2).
pub fn keep_only(kept: Capabilities) -> io::Result<()> {
    let zero: libc::c_ulong = 0;
    // Before capset: cutting the bounding set takes CAP_SETPCAP, and without it there is nothing
    // to cut that could be regained by a process that never executes another program.
    for bit in (0..64_u32).filter(|bit| kept.0 & (1 << bit) == 0) {
        let bit = libc::c_ulong::from(bit);
        // SAFETY: no pointers are passed.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, bit, zero, zero, zero) } != 0 {
            // EINVAL: beyond the last one that this kernel knows. EPERM: see above.
            break;
        }
    }
    let clear = libc::c_ulong::try_from(libc::PR_CAP_AMBIENT_CLEAR_ALL).unwrap_or(4);
    // Since Linux 4.3; older kernels have no ambient set.
    // SAFETY: no pointers are passed.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear, zero, zero, zero) };
    let mut halves = get()?;
    let masks = [kept.0 & 0xffff_ffff, kept.0 >> 32];
    for (half, mask) in halves.iter_mut().zip(masks) {
        half.permitted &= u32::try_from(mask).unwrap_or(0);
        half.effective = half.permitted;
        half.inheritable = 0;
    }
    let header = Header { version: VERSION_3, pid: 0 };
    // SAFETY: the header asks for version 3, which reads two halves.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, halves.as_ptr()) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// From now on no program that this process could execute gains privileges.
///
/// # Errors
///
/// As prctl(2).
pub fn no_new_privileges() -> io::Result<()> {
    let (one, zero): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: no pointers are passed.
    socket::check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, one, zero, zero, zero) })?;
    Ok(())
}

fn get() -> io::Result<[Half; 2]> {
    let header = Header { version: VERSION_3, pid: 0 };
    let mut halves = [Half::default(); 2];
    // SAFETY: the header asks for version 3, which writes two halves.
    let done = unsafe { libc::syscall(libc::SYS_capget, &raw const header, halves.as_mut_ptr()) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(halves)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(field: &str) -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix(field)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    }

    #[test]
    fn what_is_kept_is_all_that_is_left() {
        // Capabilities belong to a thread: this one ends with the test.
        std::thread::spawn(|| {
            let had = effective().unwrap();
            let kept = Capabilities::NET_RAW.with(Capabilities::NET_ADMIN);
            let expected = had.0 & kept.0;
            keep_only(kept).unwrap();
            no_new_privileges().unwrap();
            assert_eq!(effective().unwrap().0, expected);
            assert_eq!(status("CapPrm:"), expected);
            assert_eq!(status("CapInh:"), 0);
            assert_eq!(status("CapAmb:"), 0);
            assert_eq!(status("NoNewPrivs:"), 1);
            if had.has(Capabilities(1 << 8)) {
                assert_eq!(status("CapBnd:") & !kept.0, 0);
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn names_are_those_of_the_manual() {
        let set = Capabilities::NET_RAW.with(Capabilities(1 << 40 | 1 << 63));
        let names: Vec<_> = set.names().collect();
        assert_eq!(names, ["net_raw", "checkpoint_restore", "63"]);
    }
}
