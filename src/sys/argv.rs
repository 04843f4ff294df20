#![allow(unsafe_code)]
//! Hides a secret given on the command line from `ps`: the bytes of the arguments are ours to
//! overwrite once they have been read.

use std::fs;

/// No command line is longer than this (`MAX_ARG_STRLEN` times a few).
const MAX_LEN: usize = 1 << 20;

/// Overwrites each place in this process' arguments where `secret` stands with `x`. Returns how
/// many were found; 0 also without `/proc`.
///
/// Call it before other threads exist and after the arguments have been copied: what
/// `std::env::args` returns later has the `x` too.
#[must_use]
pub fn hide(secret: &[u8]) -> usize {
    if secret.is_empty() {
        return 0;
    }
    let Some((start, end)) = area() else {
        return 0;
    };
    let len = end.saturating_sub(start).min(MAX_LEN);
    if start == 0 || len == 0 {
        return 0;
    }
    // SAFETY: the kernel put the arguments there when the process began and says where they lie;
    // they are writable, stay mapped for good, and no reference into them is held: std copies
    // them out on each use.
    let area = unsafe { std::slice::from_raw_parts_mut(start as *mut u8, len) };
    let mut found = 0_usize;
    let mut rest = area;
    while rest.len() >= secret.len() {
        let Some(at) = rest.windows(secret.len()).position(|w| w == secret) else {
            break;
        };
        let (_, tail) = rest.split_at_mut(at);
        let (hit, tail) = tail.split_at_mut(secret.len());
        hit.fill(b'x');
        found = found.saturating_add(1);
        rest = tail;
    }
    found
}

/// Where the arguments lie: fields 48 and 49 of `/proc/self/stat` (proc_pid_stat(5)).
fn area() -> Option<(usize, usize)> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The command name in parentheses may hold blanks and parentheses itself.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(45);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_where_the_command_line_is() {
        let (start, end) = area().unwrap();
        let line = fs::read("/proc/self/cmdline").unwrap();
        assert_eq!(end - start, line.len());
        assert_eq!(hide(b""), 0);
        assert_eq!(hide(b"surely-not-an-argument-of-this-test"), 0);
    }
    /// Runs itself again with a secret among its arguments (to the test harness one more filter
    /// that matches nothing).
    #[test]
    fn a_secret_is_gone_from_the_command_line() {
        const SECRET: &str = "open-sesame-7";
        if std::env::var_os("PORTOLAN_TEST_ARGV").is_some() {
            assert_eq!(hide(SECRET.as_bytes()), 1);
            let line = fs::read_to_string("/proc/self/cmdline").unwrap();
            assert!(!line.contains(SECRET) && line.contains("xxxxxxxxxxxxx"), "{line}");
            return;
        }
        let done = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["a_secret_is_gone_from_the_command_line", SECRET])
            .env("PORTOLAN_TEST_ARGV", "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && told.contains("1 passed"), "{told}");
    }
}
