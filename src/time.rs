//! Time as the engine sees it: one monotonic reading per turn of the loop, passed down as an
//! argument. Wall time is only for display and for what leaves the process.

use std::fmt::Write as _;

/// A monotonic moment in microseconds.
///
/// Live, it counts from the start of the machine; while a capture file is read it is the file's
/// own clock (microseconds since 1970). Only differences and [`Clock`] give it a meaning.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tick(pub u64);

impl Tick {
    /// The moment `seconds` after zero.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The moment `millis` after zero.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Whole microseconds since zero.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since zero.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole seconds since zero.
    #[must_use]
    pub const fn secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Microseconds from `earlier` to here; 0 if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment plus `micros` microseconds.
    #[must_use]
    pub const fn plus(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The next whole second, this moment if it is one. What has time waits for it, so that
    /// several things wake the process once.
    #[must_use]
    pub const fn whole(self) -> Self {
        Self(self.0.div_ceil(1_000_000).saturating_mul(1_000_000))
    }

    /// This moment minus `micros` microseconds, at least zero.
    #[must_use]
    pub const fn minus(self, micros: u64) -> Self {
        Self(self.0.saturating_sub(micros))
    }
}

/// A wall-clock moment in microseconds since 1970-01-01T00:00:00Z; negative before.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Wall(pub i64);

impl Wall {
    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole milliseconds since 1970, rounded down.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// RFC 3339 in UTC with milliseconds, such as `2026-11-21T03:04:05.678Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let (year, month, day) = civil(self.secs().div_euclid(86_400));
        let second = self.secs().rem_euclid(86_400);
        let millis = self.millis().rem_euclid(1_000);
        let mut out = String::with_capacity(24);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
            second / 3_600,
            second / 60 % 60,
            second % 60,
        );
        out
    }

    /// The date of HTTP (RFC 9110 section 5.6.7), such as `Sat, 21 Nov 2026 03:04:05 GMT`.
    #[must_use]
    pub fn imf_date(self) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let days = self.secs().div_euclid(86_400);
        let (year, month, day) = civil(days);
        let second = self.secs().rem_euclid(86_400);
        let at = |index: i64| usize::try_from(index).unwrap_or(0);
        let name = DAYS.get(at(days.rem_euclid(7))).unwrap_or(&"");
        let month = MONTHS.get(at(month.saturating_sub(1))).unwrap_or(&"");
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{name}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

/// One reading of both clocks, taken together: turns a [`Tick`] into wall time.
///
/// Everything is stored as ticks, so that a step of the wall clock (routers boot in 1970)
/// re-bases all that is shown at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// The monotonic reading.
    pub tick: Tick,
    /// The wall reading taken with it.
    pub wall: Wall,
}

impl Clock {
    /// The clock of a capture file, where ticks are wall time already.
    pub const FILE: Self = Self { tick: Tick(0), wall: Wall(0) };

    /// The wall time of `tick` as far as this reading knows.
    #[must_use]
    pub fn wall_of(&self, tick: Tick) -> Wall {
        let tick = i64::try_from(tick.0).unwrap_or(i64::MAX);
        let base = i64::try_from(self.tick.0).unwrap_or(i64::MAX);
        Wall(self.wall.0.saturating_add(tick.saturating_sub(base)))
    }

    /// The tick of a wall-clock stamp (the kernel's packet stamps), never later than this
    /// reading and at most ten seconds before it: a stamp taken before a step of the wall clock
    /// must not throw a flow into the past or the future.
    #[must_use]
    pub fn tick_of(&self, wall: Wall) -> Tick {
        let behind = self.wall.0.saturating_sub(wall.0).clamp(0, 10_000_000);
        self.tick.minus(behind.unsigned_abs())
    }
}

/// Year, month and day of a day number counted from 1970-01-01 (proleptic Gregorian calendar).
#[expect(clippy::arithmetic_side_effects, reason = "an i64 day number of microseconds / 86400e6")]
fn civil(days: i64) -> (i64, i64, i64) {
    // Howard Hinnant's days_from_civil, inverted: eras of 400 years that start in March.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_follow_the_calendar_on_both_sides_of_1970_and_2038() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_762_615_485, "2025-11-08T15:24:45.000Z"),
            (2_147_483_648, "2038-01-19T03:14:08.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Wall(secs * 1_000_000).rfc3339(), text);
        }
    }

    #[test]
    fn dates_are_those_of_http() {
        let date = |secs: i64| Wall(secs * 1_000_000).imf_date();
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
    }

    #[test]
    fn a_step_of_the_wall_clock_cannot_move_a_frame_far() {
        let clock = Clock { tick: Tick::from_secs(100), wall: Wall(1_700_000_000_000_000) };
        assert_eq!(clock.tick_of(Wall(1_700_000_000_000_000 - 50_000)), Tick(99_950_000));
        assert_eq!(clock.tick_of(Wall(0)), Tick::from_secs(90));
        assert_eq!(clock.tick_of(Wall(1_900_000_000_000_000)), Tick::from_secs(100));
    }
}
