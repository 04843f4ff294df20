//! Who was here before the agent was started anew: hardware addresses with the moments when they
//! were seen first and last, so that nobody is announced as new a second time. Kept in the
//! volatile state alone.

use std::fmt::Write as _;

use super::{Device, Devices, MAX_DEVICES};
use crate::time::{Clock, Tick, Wall};
use crate::wire::mac;

/// The name of the file.
pub const FILE: &str = "devices.csv";

/// The first line of the file.
const HEADER: &str = "\"mac\",\"first_seen\",\"last_seen\"";

/// Octets of a file that are read.
const MAX_FILE: usize = MAX_DEVICES * 64;

/// All devices but this machine, with Unix seconds.
#[must_use]
pub fn write(devices: &Devices, clock: &Clock) -> Vec<u8> {
    let mut text = String::from(HEADER);
    text.push('\n');
    for (_, device) in devices.iter().filter(|(_, device)| !device.is_own) {
        let secs = |tick| clock.wall_of(tick).secs();
        let (first, last) = (secs(device.first), secs(device.last));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\"{}\",{first},{last}", mac::text(device.mac));
    }
    text.into_bytes()
}

/// Takes in devices of the last run, as offline; how many they were.
pub fn read(devices: &mut Devices, bytes: &[u8], clock: &Clock) -> usize {
    let Ok(text) = str::from_utf8(bytes.get(..MAX_FILE).unwrap_or(bytes)) else { return 0 };
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return 0;
    }
    let seen = |line: &str| {
        let (address, times) = line.strip_prefix('"')?.split_once("\",")?;
        let (first, last) = times.split_once(',')?;
        Some((mac::parse(address)?, tick(first, clock)?, tick(last, clock)?))
    };
    let before = devices.len();
    for (address, first, last) in lines.take(MAX_DEVICES).filter_map(seen) {
        let mut device = Device::new(address, 0, first);
        (device.is_online, device.last) = (false, last);
        devices.remember(device);
    }
    devices.len().saturating_sub(before)
}

/// The tick of a moment that is past.
fn tick(secs: &str, clock: &Clock) -> Option<Tick> {
    let wall = Wall(secs.parse::<i64>().ok()?.checked_mul(1_000_000)?);
    let ago = clock.wall.0.checked_sub(wall.0)?;
    Some(clock.tick.minus(u64::try_from(ago).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::devices::What;

    fn clock() -> Clock {
        Clock { tick: Tick::from_secs(1_000), wall: Wall(1_700_000_000_000_000) }
    }

    #[test]
    fn whoever_was_here_is_not_new() {
        let mut devices = Devices::default();
        let address = [2, 0, 0, 0, 0, 1];
        devices.neighbour(0, [10, 0, 0, 1].into(), address, false, Tick::from_secs(900));
        let bytes = write(&devices, &clock());
        let mut again = Devices::default();
        assert_eq!(read(&mut again, &bytes, &clock()), 1);
        assert!(!again.has_news() && !again.find(address).unwrap().is_online);
        assert_eq!(again.find(address).unwrap().first, Tick::from_secs(900));
        again.neighbour(0, [10, 0, 0, 1].into(), address, false, Tick::from_secs(1_001));
        assert_eq!(again.take_news(), [(0, What::Online)]);
    }

    #[test]
    fn a_file_of_somebody_else_brings_nobody() {
        for text in [
            "",
            "\"mac\"\n\"02:00:00:00:00:01\",1,2\n",
            "\"mac\",\"first_seen\",\"last_seen\"\n\"x\",1,2\n02:00:00:00:00:01,1,2\n\
             \"ff:ff:ff:ff:ff:ff\",1,2\n\"02:00:00:00:00:01\",99999999999999999999,2\n\
             \"02:00:00:00:00:01\",9223372036854775807,1\n\"02:00:00:00:00:01\",1700000001,1\n",
        ] {
            assert_eq!(read(&mut Devices::default(), text.as_bytes(), &clock()), 0, "{text}");
        }
        let mut many = String::from(HEADER);
        for n in 0..5_000_u16 {
            let [high, low] = n.to_be_bytes();
            let _ = write!(many, "\n\"{}\",1,2", mac::text([2, 0, 0, 0, high, low]));
        }
        assert_eq!(read(&mut Devices::default(), many.as_bytes(), &clock()), MAX_DEVICES);
        assert_eq!(read(&mut Devices::default(), b"\xff", &clock()), 0);
    }
}
