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

/// One clock in microseconds. Both fields are widened before any arithmetic: they have 32 bits on
/// some targets.
#[expect(clippy::useless_conversion, reason = "time_t and c_long have 32 bits elsewhere")]
fn read(clock: libc::clockid_t) -> Option<i64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    let (sec, nsec) = (i64::from(time.tv_sec), i64::from(time.tv_nsec));
    Some(sec.saturating_mul(1_000_000).saturating_add(nsec / 1_000))
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
