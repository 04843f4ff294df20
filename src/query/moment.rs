//! The times that `At` and `Context` name: stamps as of RFC 1123, durations as Go writes them.

use crate::text::decimal;
use crate::time::Clock;
use crate::topology::graph::Slice;

/// A moment, perhaps relative to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Milliseconds since 1970.
    At(i64),
    /// Milliseconds from now on.
    Off(i64),
}

/// A stretch that ends at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub end: Moment,
    /// Milliseconds; `None` if only the moment is meant.
    pub length: Option<i64>,
}

impl Stretch {
    /// The stretch, seen from now; `None` for a moment that is not over, where the present is
    /// the answer.
    pub(super) fn slice(self, now: Clock) -> Option<Slice> {
        let now = now.wall.millis();
        let to = match self.end {
            Moment::At(at) => at,
            Moment::Off(off) => now.saturating_add(off),
        };
        let from = to.saturating_sub(self.length.unwrap_or(0));
        (to < now || self.length.is_some()).then_some(Slice { from, to })
    }
}

impl Moment {
    /// Reads a stamp or a duration.
    pub(super) fn parse(text: &str) -> Option<Self> {
        stamp(text).map(Self::At).or_else(|| duration(text).map(Self::Off))
    }

    /// Unix time: seconds, or milliseconds if it would be after 2038.
    pub(super) fn of_unix(time: i64) -> Self {
        let millis = time > i64::from(i32::MAX);
        Self::At(if millis { time } else { time.saturating_mul(1_000) })
    }
}

/// Milliseconds of a duration such as `-1h30m`, `1.5s`; what is below a millisecond is cut.
#[must_use]
pub fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut sum = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(end)?;
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(end)?;
        let scale = match unit {
            "ns" => 1e-6,
            "us" | "µs" | "μs" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3_600e3,
            _ => return None,
        };
        let number = decimal(number)?;
        sum += number * scale;
        rest = tail;
    }
    // A float becomes the nearest end of the range where it is beyond it.
    let millis = sum as i64;
    Some(if negative { millis.saturating_neg() } else { millis })
}

/// Milliseconds of a stamp such as `Mon, 02 Jan 2006 15:04:05 MST`. Names of zones mean UTC, as
/// in Go where they are not those of the machine; `+0100` is taken too.
fn stamp(text: &str) -> Option<i64> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split(' ');
    let weekday = words.next()?.strip_suffix(',')?;
    if !DAYS.iter().any(|day| day.eq_ignore_ascii_case(weekday)) {
        return None;
    }
    let day = number(words.next()?, 2, 1, 31)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    let month = i64::try_from(month).ok()?.checked_add(1)?;
    let year = number(words.next()?, 4, 0, 9_999)?;
    let mut clock = words.next()?.split(':');
    let hour = number(clock.next()?, 2, 0, 23)?;
    let minute = number(clock.next()?, 2, 0, 59)?;
    let second = number(clock.next()?, 2, 0, 59)?;
    let zone = words.next()?;
    if clock.next().is_some() || words.next().is_some() || day > days_of(year, month) {
        return None;
    }
    let seconds = days(year, month, day)
        .checked_mul(86_400)?
        .checked_add(hour.checked_mul(3_600)?)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)?
        .checked_sub(offset(zone)?)?;
    seconds.checked_mul(1_000)
}

/// Seconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    let Some((sign, digits)) =
        zone.split_at_checked(1).filter(|(sign, _)| matches!(*sign, "+" | "-"))
    else {
        let name = (1..=5).contains(&zone.len()) && zone.bytes().all(|b| b.is_ascii_alphabetic());
        return name.then_some(0);
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let hours = number(hours, 2, 0, 23)?.checked_mul(3_600)?;
    let ahead = number(minutes, 2, 0, 59)?.checked_mul(60)?.checked_add(hours)?;
    Some(if sign == "-" { ahead.saturating_neg() } else { ahead })
}

fn number(text: &str, most: usize, from: i64, to: i64) -> Option<i64> {
    let digits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let number: i64 = text.parse().ok().filter(|_| digits)?;
    (from..=to).contains(&number).then_some(number)
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
#[expect(clippy::arithmetic_side_effects, reason = "a year of four digits")]
const fn days(year: i64, month: i64, day: i64) -> i64 {
    // Howard Hinnant's days_from_civil: eras of 400 years that start in March.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Tick, Wall};

    #[test]
    fn durations_are_those_of_go() {
        for (text, millis) in [
            ("-1m", -60_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("250ms", 250),
            ("+2s", 2_000),
            ("0", 0),
            ("1500us", 1),
            (".5s", 500),
        ] {
            assert_eq!(duration(text), Some(millis), "{text}");
        }
        for wrong in ["", "-", "5", "1x", "m", "1 m", "1..5s", "é", "1mé"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        assert_eq!(duration("99999999999999999999h"), Some(i64::MAX));
    }

    #[test]
    fn stamps_are_those_of_rfc_1123() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", 0),
            ("Tue, 14 Nov 2023 22:13:20 GMT", 1_700_000_000),
            ("Tue, 14 Nov 2023 23:13:20 +0100", 1_700_000_000),
            ("Tue, 29 Feb 2000 00:00:00 MST", 951_782_400),
        ] {
            assert_eq!(stamp(text), Some(seconds * 1_000), "{text}");
        }
        for wrong in [
            "Thu, 32 Jan 1970 00:00:00 UTC",
            "Thu, 29 Feb 2001 00:00:00 UTC",
            "01 Jan 1970 00:00:00 UTC",
            "Thu, 01 Jan 1970 24:00:00 UTC",
            "Thu, 01 Jan 1970 00:00:00",
            "Thu, 01 Jan 1970 00:00:00 UTC x",
            "Thu, 01 Jan 1970 00:00:00 é",
        ] {
            assert_eq!(stamp(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_present_needs_no_history() {
        let now = Clock { tick: Tick(0), wall: Wall(1_700_000_000_000_000) };
        let at = |end, length| Stretch { end, length }.slice(now);
        assert_eq!(at(Moment::Off(0), None), None);
        assert_eq!(at(Moment::Off(60_000), None), None);
        let past = Slice { from: 1_699_999_940_000, to: 1_699_999_940_000 };
        assert_eq!(at(Moment::Off(-60_000), None), Some(past));
        let last = Slice { from: 1_699_999_700_000, to: 1_700_000_000_000 };
        assert_eq!(at(Moment::Off(0), Some(300_000)), Some(last));
        assert_eq!(Moment::of_unix(1_700_000_000), Moment::At(1_700_000_000_000));
        assert_eq!(Moment::of_unix(1_700_000_000_000), Moment::At(1_700_000_000_000));
    }
}
