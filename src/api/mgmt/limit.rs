//! Token buckets per source, so that nobody can use the port to flood a third party or to guess
//! the password, and nobody can make the table of sources grow.

use std::net::IpAddr;

use crate::time::Tick;

/// Sources remembered; the one heard of longest ago gives way.
const MAX_SOURCES: usize = 256;

/// A bucket of tokens that refills with time.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    /// Millitokens, so that slow rates refill smoothly.
    level: u64,
    burst: u64,
    per_second: u64,
    at: Tick,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub const fn new(burst: u32, per_second: u32, now: Tick) -> Self {
        let burst = (burst as u64).saturating_mul(1_000);
        Self { level: burst, burst, per_second: per_second as u64, at: now }
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Tick) -> bool {
        // per_second tokens a second are per_second/1000 millitokens a microsecond.
        let gained = now.since(self.at).saturating_mul(self.per_second) / 1_000;
        if gained > 0 {
            self.level = self.level.saturating_add(gained).min(self.burst);
            self.at = self.at.max(now);
        }
        let taken = self.level.checked_sub(1_000);
        if let Some(left) = taken {
            self.level = left;
        }
        taken.is_some()
    }
}

/// A bucket for each source: an IPv4 /24 or an IPv6 /56, or each address alone.
#[derive(Debug)]
pub struct Sources {
    buckets: Vec<([u8; 16], Bucket)>,
    burst: u32,
    per_second: u32,
}

impl Sources {
    /// No source seen yet; each will have `burst` tokens and get `per_second` more.
    #[must_use]
    pub const fn new(burst: u32, per_second: u32) -> Self {
        Self { buckets: Vec::new(), burst, per_second }
    }

    /// Takes a token of that source if there is one.
    pub fn take(&mut self, source: IpAddr, now: Tick) -> bool {
        let key = prefix(source);
        if let Some((_, bucket)) = self.buckets.iter_mut().find(|(k, _)| *k == key) {
            return bucket.take(now);
        }
        let mut bucket = Bucket::new(self.burst, self.per_second, now);
        let taken = bucket.take(now);
        if self.buckets.len() < MAX_SOURCES {
            self.buckets.push((key, bucket));
        } else if let Some(oldest) = self.buckets.iter_mut().min_by_key(|(_, b)| b.at) {
            *oldest = (key, bucket);
        }
        taken
    }
}

fn prefix(source: IpAddr) -> [u8; 16] {
    match source.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, 0]
        }
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            for octet in octets.iter_mut().skip(7) {
                *octet = 0;
            }
            octets
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let mut bucket = Bucket::new(5, 2, Tick::from_secs(10));
        let now = Tick::from_secs(10);
        assert_eq!((0..20).filter(|_| bucket.take(now)).count(), 5);
        let later = Tick::from_millis(12_500);
        assert_eq!((0..20).filter(|_| bucket.take(later)).count(), 5);
        assert_eq!((0..20).filter(|_| bucket.take(Tick::from_secs(1_000))).count(), 5);
    }

    #[test]
    fn neighbours_in_a_prefix_share_and_strangers_do_not() {
        let mut sources = Sources::new(1, 1);
        let now = Tick::from_secs(1);
        assert!(sources.take("192.0.2.1".parse().unwrap(), now));
        assert!(!sources.take("192.0.2.200".parse().unwrap(), now));
        assert!(sources.take("192.0.3.1".parse().unwrap(), now));
        assert!(sources.take("2001:db8::1".parse().unwrap(), now));
        assert!(!sources.take("2001:db8:0:ff::1".parse().unwrap(), now));
        for n in 0..2_000_u32 {
            sources.take(std::net::Ipv4Addr::from(n << 8).into(), now);
        }
        assert!(sources.buckets.len() <= MAX_SOURCES);
    }
}
