#![allow(unsafe_code)]
//! What a driver says of its interface (SIOCETHTOOL, linux/ethtool.h): its name, the card's
//! place, speed and duplex, and which offloads are in use. Each question is one call into the
//! driver; the caller decides how many to ask at a time.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::rc::Rc;

use crate::sys::socket;

const SIOCETHTOOL: libc::Ioctl = 0x8946;

/// Commands.
const GET_DRIVER_INFO: u32 = 0x03;
const GET_STRINGS: u32 = 0x1b;
const GET_STRING_SET_INFO: u32 = 0x37;
const GET_FEATURES: u32 = 0x3a;
const GET_LINK_SETTINGS: u32 = 0x4c;

/// ETH_SS_FEATURES.
const FEATURE_STRINGS: u32 = 4;
/// ETH_GSTRING_LEN.
const STRING_LEN: usize = 32;
/// Features that are read; kernels have about 64.
const MAX_FEATURES: usize = 256;
/// SPEED_UNKNOWN.
const SPEED_UNKNOWN: u32 = u32::MAX;

/// The answers for one interface.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    /// The driver's name, empty if there is none.
    pub driver: String,
    /// Where the card is, such as `0000:00:03.0`.
    pub bus: String,
    /// Mb/s, if known.
    pub speed: Option<u32>,
    /// Whether both sides may send at once, if known.
    pub full_duplex: Option<bool>,
    /// Features and whether they are in use.
    pub features: Vec<(Rc<str>, bool)>,
}

/// Asks drivers, and remembers how features are called: that is the same for all.
#[derive(Debug, Default)]
pub struct Ethtool {
    names: Option<Vec<Rc<str>>>,
}

impl Ethtool {
    /// Asks about an interface of the namespace that the socket was made in.
    ///
    /// # Errors
    ///
    /// There is no such interface. A question that its driver does not answer is no error.
    pub fn ask(&mut self, socket: BorrowedFd<'_>, interface: &str) -> io::Result<Card> {
        let mut card = Card::default();
        let mut info = Request::<49>::new(GET_DRIVER_INFO);
        match info.run(socket, interface) {
            Ok(()) => {
                // Behind the command: driver, version, firmware, bus; 32 bytes each.
                card.driver = info.text(1);
                card.bus = info.text(25);
            }
            // Without a number of the system it is the name that cannot be.
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENODEV) | None) => return Err(e),
            Err(_) => {}
        }
        (card.speed, card.full_duplex) = settings(socket, interface).unwrap_or_default();
        if self.names.is_none() {
            self.names = names(socket, interface).ok();
        }
        if let Some(names) = self.names.as_ref().filter(|names| !names.is_empty()) {
            card.features = features(socket, interface, names).unwrap_or_default();
        }
        Ok(card)
    }
}

/// Speed and duplex.
fn settings(socket: BorrowedFd<'_>, interface: &str) -> io::Result<(Option<u32>, Option<bool>)> {
    // struct ethtool_link_settings of 12 words, then three masks of link modes. The first call
    // only tells how long those are, as a negative number.
    let mut request = Request::<400>::new(GET_LINK_SETTINGS);
    request.run(socket, interface)?;
    let [_, _, _, words] = request.word(3).to_ne_bytes();
    let words = words.cast_signed().unsigned_abs();
    let mut request = Request::<400>::new(GET_LINK_SETTINGS);
    request.set(3, u32::from_ne_bytes([0, 0, 0, words.min(127)]));
    request.run(socket, interface)?;
    let [duplex, ..] = request.word(2).to_ne_bytes();
    let speed = Some(request.word(1)).filter(|speed| !matches!(*speed, 0 | SPEED_UNKNOWN));
    let full = match duplex {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    Ok((speed, full))
}

/// What features are called, in the order of their bits.
fn names(socket: BorrowedFd<'_>, interface: &str) -> io::Result<Vec<Rc<str>>> {
    // Command, reserved, a mask of 64 bits, and a count for each bit of it.
    let mut info = Request::<5>::new(GET_STRING_SET_INFO);
    let mask = 1_u64 << FEATURE_STRINGS;
    let [a, b, c, d, e, f, g, h] = mask.to_ne_bytes();
    info.set(2, u32::from_ne_bytes([a, b, c, d]));
    info.set(3, u32::from_ne_bytes([e, f, g, h]));
    info.run(socket, interface)?;
    let count = usize::try_from(info.word(4)).unwrap_or(0);
    if count > MAX_FEATURES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // Command, set, count, strings.
    let mut strings = Box::new(Request::<{ 3 + MAX_FEATURES * STRING_LEN / 4 }>::new(GET_STRINGS));
    strings.set(1, FEATURE_STRINGS);
    strings.set(2, info.word(4));
    strings.run(socket, interface)?;
    let at = |n: usize| 3_usize.saturating_add(n.saturating_mul(STRING_LEN / 4));
    Ok((0..count).map(|n| strings.text(at(n)).into()).collect())
}

/// Which features are in use.
fn features(
    socket: BorrowedFd<'_>,
    interface: &str,
    names: &[Rc<str>],
) -> io::Result<Vec<(Rc<str>, bool)>> {
    // Command, number of blocks, and for each 32 features: available, requested, active, fixed.
    let mut request = Request::<{ 2 + MAX_FEATURES / 32 * 4 }>::new(GET_FEATURES);
    request.set(1, u32::try_from(names.len().div_ceil(32)).unwrap_or(0));
    request.run(socket, interface)?;
    let active = |n: usize| {
        let block = request.word(4_usize.saturating_add((n / 32).saturating_mul(4)));
        block & 1 << (n % 32) != 0
    };
    let named = names.iter().enumerate().filter(|(_, name)| !name.is_empty());
    Ok(named.map(|(n, name)| (Rc::clone(name), active(n))).collect())
}

/// A structure of 32-bit words that begins with a command, and is answered in place.
struct Request<const N: usize> {
    words: [u32; N],
}

impl<const N: usize> Request<N> {
    const fn new(command: u32) -> Self {
        let mut words = [0; N];
        if let Some(first) = words.first_mut() {
            *first = command;
        }
        Self { words }
    }

    const fn set(&mut self, at: usize, value: u32) {
        if let Some(word) = self.words.as_mut_slice().split_at_mut_checked(at)
            && let Some(word) = word.1.first_mut()
        {
            *word = value;
        }
    }

    fn word(&self, at: usize) -> u32 {
        self.words.get(at).copied().unwrap_or(0)
    }

    /// The text of up to 32 bytes that begins at a word.
    fn text(&self, at: usize) -> String {
        let words = self.words.iter().skip(at).take(STRING_LEN / 4);
        let bytes: Vec<u8> = words.flat_map(|word| word.to_ne_bytes()).collect();
        let text = bytes.split(|b| *b == 0).next().unwrap_or(&[]);
        String::from_utf8_lossy(text).into_owned()
    }

    /// Every structure that is passed is at least as long as the kernel makes its answer: it is
    /// told how many link modes, strings and blocks there is room for.
    fn run(&mut self, socket: BorrowedFd<'_>, interface: &str) -> io::Result<()> {
        // SAFETY: integers, bytes and a pointer, for which zero is valid.
        let mut request: libc::ifreq = unsafe { zeroed() };
        // The last byte stays zero.
        let room = request.ifr_name.len().saturating_sub(1);
        if interface.len() > room {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        request.ifr_ifru.ifru_data = self.words.as_mut_ptr().cast();
        socket::retry(|| {
            let request = &raw mut request;
            // SAFETY: the request is live and its pointer leads to N live words. For each of the
            // commands above the kernel writes no more than those: the fixed structures are 49
            // words (driver) and 12 (link settings) long; masks of link modes come only in the
            // number that was set (at most 3 times 127 in 400 words), so do blocks of features;
            // and the strings are as many as the kernel said before, a constant of it.
            socket::check(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, request) })
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn loopback_has_features_and_an_unknown_interface_is_an_error() {
        let socket = crate::sys::netlink::Socket::open(0, 64 * 1024).unwrap();
        let mut ethtool = Ethtool::default();
        let card = ethtool.ask(socket.as_fd(), "lo").unwrap();
        let on = |name: &str| card.features.iter().find(|(n, _)| &**n == name).map(|f| f.1);
        assert_eq!(on("loopback"), Some(true), "{card:?}");
        assert_eq!(on("highdma"), Some(true));
        assert_eq!(on("no-such"), None);
        assert!(ethtool.ask(socket.as_fd(), "no-such-one").is_err());
        assert!(ethtool.ask(socket.as_fd(), "a name that is too long").is_err());
    }
}
