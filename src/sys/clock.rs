#![allow(unsafe_code)]
//! The machine's clocks: one monotonic reading that counts on while suspended, and wall time
//! taken together with it.

use crate::time::{Clock, Tick, Wall};

/// Reads both clocks.
#[must_use]
pub fn now() -> Clock {
    Clock { tick: tick(), wall: wall() }
}

/// Microseconds since the start of the machine, time asleep included where the kernel counts it.
#[must_use]
pub fn tick() -> Tick {
    let read = read(libc::CLOCK_BOOTTIME).or_else(|| read(libc::CLOCK_MONOTONIC));
    Tick(read.map_or(0, i64::unsigned_abs))
}

/// Wall time.
#[must_use]
pub fn wall() -> Wall {
    Wall(read(libc::CLOCK_REALTIME).unwrap_or(0))
}

/// One clock in microseconds.
#[cfg(target_pointer_width = "64")]
fn read(clock: libc::clockid_t) -> Option<i64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    Some(micros(time.tv_sec, time.tv_nsec))
}

/// One clock in microseconds, past the C library: its call, and with it all of `std`'s wall
/// clock, fails from 2038 on.
#[cfg(target_pointer_width = "32")]
fn read(clock: libc::clockid_t) -> Option<i64> {
    let mut time = [0_i64; 2];
    // SAFETY: the kernel writes seconds and nanoseconds of 64 bits each (__kernel_timespec).
    let done = unsafe { libc::syscall(CLOCK_GETTIME64, clock, time.as_mut_ptr()) };
    if done == 0 {
        let [sec, nsec] = time;
        return Some(micros(sec, nsec));
    }
    // Before Linux 5.1: seconds of 32 bits, which unsigned last until 2106.
    let mut time = [0_u32; 2];
    // SAFETY: the kernel writes seconds and nanoseconds of 32 bits each (old_timespec32).
    let done = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time.as_mut_ptr()) };
    let [sec, nsec] = time.map(i64::from);
    (done == 0).then(|| micros(sec, nsec))
}

/// clock_gettime64 has one number everywhere, counted from where a machine's numbers begin.
#[cfg(all(target_pointer_width = "32", target_arch = "mips"))]
const CLOCK_GETTIME64: libc::c_long = 4_403;
#[cfg(all(target_pointer_width = "32", not(target_arch = "mips")))]
const CLOCK_GETTIME64: libc::c_long = 403;

fn micros(sec: i64, nsec: i64) -> i64 {
    sec.saturating_mul(1_000_000).saturating_add(nsec / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_never_go_back_and_wall_time_agrees_with_std() {
        let first = now();
        let std = std::time::SystemTime::now();
        let second = now();
        assert!(second.tick >= first.tick);
        let std = std.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
        let std = i64::try_from(std).unwrap();
        assert!((std - first.wall.0).abs() < 5_000_000);
    }
}
