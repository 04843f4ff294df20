//! BitTorrent: peers (BEP 3), DHT (BEP 5), local discovery (BEP 14), trackers over UDP (BEP 15),
//! uTP (BEP 29).

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::BITTORRENT, &[6881, 6889, 51413], dissect);

const HANDSHAKE: &[u8] = b"\x13BitTorrent protocol";

/// First number of a tracker's connection.
const TRACKER: u64 = 0x417_2710_1980;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if view.is_tcp() {
        return peer(view.data, view, facts);
    }
    match view.first() {
        Some(b'd') => Verdict::when(is_dht(view.data, facts), Protocol::BITTORRENT),
        Some(b'B') => {
            let found = view.starts(b"BT-SEARCH * HTTP/1.");
            if found && let Some(hash) = after(view.data, b"Infohash: ") {
                put_hex(facts, hash);
            }
            Verdict::when(found, Protocol::BITTORRENT)
        }
        Some(0) if view.at::<8>(0).map(u64::from_be_bytes) == Some(TRACKER) => {
            Verdict::when(view.u32_at(8) == Some(0) && view.len == 16, Protocol::BITTORRENT)
        }
        Some(first) if first & 0x0f == 1 && first >> 4 <= 4 => utp(view, facts),
        _ => Verdict::No,
    }
}

/// The handshake of peers.
fn peer(data: &[u8], view: &View<'_>, facts: &mut Facts) -> Verdict {
    if !data.starts_with(HANDSHAKE) {
        let begun = data.len() < HANDSHAKE.len() && HANDSHAKE.starts_with(data);
        return if begun && view.is_tcp() { Verdict::Wait } else { Verdict::No };
    }
    match data.get(28..48) {
        Some(hash) => {
            facts.put(Fact::InfoHash, hash);
            Verdict::Is(Protocol::BITTORRENT)
        }
        None => Verdict::More(Protocol::BITTORRENT),
    }
}

/// A dictionary of KRPC: its first key is one of those that a message has, and it ends with its
/// kind.
fn is_dht(data: &[u8], facts: &mut Facts) -> bool {
    let keys: [&[u8]; 8] = [
        b"d1:ad2:id20:",
        b"d1:rd2:id20:",
        b"d1:eli20",
        b"d1:q",
        b"d2:ip6:",
        b"d2:ip4:",
        b"d1:ad6:",
        b"d2:ip18:",
    ];
    if !keys.iter().any(|key| data.starts_with(key)) {
        return false;
    }
    if let Some(hash) = after(data, b"9:info_hash20:").and_then(|hash| hash.get(..20)) {
        facts.put(Fact::InfoHash, hash);
    }
    let ends = [&b"1:y1:qe"[..], b"1:y1:re", b"1:y1:ee"];
    // Captures cut long answers; the node's number tells enough.
    ends.iter().any(|end| data.ends_with(end)) || after(data, b"2:id20:").is_some()
}

/// What follows the first place where this stands, in the beginning of a message.
fn after<'a>(data: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    let near = data.get(..256).unwrap_or(data);
    let at = near.windows(what.len()).position(|window| window == what)?;
    data.get(at.checked_add(what.len())?..)
}

fn put_hex(facts: &mut Facts, text: &[u8]) {
    let mut hash = [0; 20];
    for (to, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        let Some(octet) =
            std::str::from_utf8(pair).ok().and_then(|t| u8::from_str_radix(t, 16).ok())
        else {
            return;
        };
        *to = octet;
    }
    facts.put(Fact::InfoHash, &hash);
}

/// uTP (BEP 29): version 1, a known kind, and a connection that goes on, is answered in the other
/// direction, or is asked for again. Some begin to count at 1 and others anywhere.
fn utp(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some(packet) = Utp::read(view.data) else { return Verdict::No };
    if let Some(payload) = packet.payload
        && peer(payload, view, facts) != Verdict::No
    {
        return Verdict::Is(Protocol::BITTORRENT);
    }
    let known = view.past.iter().filter_map(|past| Some((past, Utp::read(&past.head)?)));
    let mut related = known.filter(|(past, earlier)| {
        let step = packet.connection.wrapping_sub(earlier.connection).wrapping_add(1);
        let is_again = packet.begins && earlier.begins && packet.connection != 0;
        let is_next = past.from_client != view.from_client || earlier.number != packet.number;
        step <= 2 && (is_next || is_again)
    });
    if related.next().is_some() {
        return Verdict::Is(Protocol::BITTORRENT);
    }
    if view.number <= 3 { Verdict::Wait } else { Verdict::No }
}

struct Utp<'a> {
    begins: bool,
    connection: u16,
    number: u16,
    payload: Option<&'a [u8]>,
}

impl<'a> Utp<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(data);
        let first = cursor.u8()?;
        let extension = cursor.u8()?;
        let connection = cursor.u16()?;
        let (_time, difference, window) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let (number, received) = (cursor.u16()?, cursor.u16()?);
        // Who begins has received nothing that could be late or numbered.
        let begins = first >> 4 == 4;
        let fits = first & 0x0f == 1
            && first >> 4 <= 4
            && extension <= 3
            && window < 1 << 24
            && !(begins && (difference != 0 || received != 0));
        fits.then_some(Self {
            begins,
            connection,
            number,
            payload: (extension == 0 && !cursor.is_empty()).then(|| cursor.rest()),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Facts, Protocol};

    fn handshake() -> Vec<u8> {
        let mut handshake = super::HANDSHAKE.to_vec();
        handshake.extend([0; 8]);
        handshake.extend([0x41; 20]);
        handshake.extend(b"-XX0001-000000000000");
        handshake
    }

    #[test]
    fn peers_tell_what_they_share() {
        let talk = Talk::tcp(6881).client(&handshake());
        assert_eq!(talk.protocol(), Protocol::BITTORRENT);
        assert_eq!(talk.fact(Fact::InfoHash), Some("A".repeat(20)));
        talk.survives();
        let talk = Talk::tcp(9).client(&handshake()[..7]).client(&handshake()[7..]);
        assert_eq!(talk.protocol(), Protocol::BITTORRENT);
    }

    #[test]
    fn nodes_of_the_table() {
        let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
        assert_eq!(Talk::udp(6881).client(ping).protocol(), Protocol::BITTORRENT);
        assert_eq!(Talk::udp(6882).client(b"d3:fooe").protocol(), Protocol::UNKNOWN);
        let ask = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:AAAAAAAAAAAAAAAAAAAAe\
            1:q9:get_peers1:t2:aa1:y1:qe";
        let talk = Talk::udp(6881).client(ask);
        assert_eq!(talk.fact(Fact::InfoHash), Some("A".repeat(20)));
        talk.survives();
    }

    #[test]
    fn a_tracker_and_the_neighbourhood() {
        let connect = hex("0000041727101980 00000000 12345678");
        assert_eq!(Talk::udp(6969).client(&connect).protocol(), Protocol::BITTORRENT);
        let search = format!(
            "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nInfohash: {}\r\n\r\n",
            "41".repeat(20)
        );
        let talk = Talk::udp(6771).client(search.as_bytes());
        assert_eq!(talk.fact(Fact::InfoHash), Some("A".repeat(20)));
    }

    #[test]
    fn utp_as_libtorrent_begins_it() {
        let syn = hex("4100 c15e 3e9574fa 00000000 00000000 bd0a 0000");
        let state = hex("2100 c15e 3e957550 0000003e 00100000 e282 bd0a");
        let talk = Talk::udp(6881).client(&syn).server(&state);
        assert_eq!(talk.protocol(), Protocol::BITTORRENT);
        let again = hex("4100 c15e 3e9984fa 00000000 00000000 bd0a 0000");
        assert_eq!(Talk::udp(6881).client(&syn).client(&again).protocol(), Protocol::BITTORRENT);
        let late = hex("4100 c15e 3e9984fa 00000001 00000000 bd0a 0000");
        assert_eq!(Talk::udp(40_000).client(&syn).client(&late).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn datagrams_of_one_connection() {
        let syn = hex("41 00 1000 00000001 00000000 00100000 0001 0000");
        let state = hex("21 00 1000 00000002 00000001 00100000 5555 0001");
        let talk = Talk::udp(9).client(&syn);
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        talk.survives();
        assert_eq!(talk.server(&state).protocol(), Protocol::BITTORRENT);
        let mut facts = Facts::default();
        super::put_hex(&mut facts, b"zz");
        assert!(facts.is_empty());
    }
}
