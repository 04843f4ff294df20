//! At most so many things a second, by the stamps of the things themselves: no clock is read.

/// Part of a second whose share may come at once.
const BURST: u64 = 100_000_000;

/// A stamp that is so much earlier than what went before is a step of the clock: the pace begins
/// anew.
const STEP: u64 = 2_000_000_000;

/// Lets things pass at a rate: a tenth of a second's worth at once, then evenly spread (the
/// generic cell rate algorithm, which is a token bucket that keeps one moment).
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Nanoseconds between two things.
    gap: u64,
    /// How far `next` may be ahead.
    ahead: u64,
    /// When the next thing is due if all before came evenly.
    next: u64,
}

impl Pace {
    /// A rate in things a second; 0 lets nothing pass.
    #[must_use]
    pub const fn new(rate: u32) -> Self {
        let gap = match rate {
            0 => u64::MAX,
            rate => 1_000_000_000_u64.div_ceil(rate as u64),
        };
        Self { gap, ahead: BURST.saturating_sub(gap), next: 0 }
    }

    /// Whether a thing of this moment, in nanoseconds, may pass.
    #[inline]
    pub fn admits(&mut self, nanos: u64) -> bool {
        if self.gap == u64::MAX {
            return false;
        }
        if self.next < nanos || self.next > nanos.saturating_add(self.gap).saturating_add(STEP) {
            self.next = nanos;
        }
        if self.next.saturating_sub(nanos) > self.ahead {
            return false;
        }
        self.next = self.next.saturating_add(self.gap);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn passed(pace: &mut Pace, stamps: impl Iterator<Item = u64>) -> usize {
        stamps.filter(|at| pace.admits(*at)).count()
    }

    #[test]
    fn a_steady_flood_passes_at_the_rate_and_little_more() {
        for rate in [1, 3, 100, 5_000] {
            let mut pace = Pace::new(rate);
            let count = passed(&mut pace, (0..300_000).map(|n| 7 * SECOND + n * 10_000));
            let expected = 3 * rate as usize;
            assert!((expected..=expected + rate as usize / 10 + 1).contains(&count), "{count}");
        }
        assert_eq!(passed(&mut Pace::new(0), 0..9), 0);
    }

    #[test]
    fn all_at_once_is_a_tenth_of_a_second() {
        let mut pace = Pace::new(1_000);
        assert_eq!(passed(&mut pace, std::iter::repeat_n(SECOND, 500)), 100);
        assert_eq!(passed(&mut pace, std::iter::repeat_n(SECOND + 50_000_000, 500)), 50);
    }

    #[test]
    fn a_clock_that_steps_back_stops_nothing() {
        let mut pace = Pace::new(10);
        assert!(pace.admits(1_000 * SECOND));
        assert!(pace.admits(SECOND));
        // A little disorder is none.
        assert!(!pace.admits(SECOND - 1_000));
        assert!(Pace::new(1).admits(0));
    }
}
