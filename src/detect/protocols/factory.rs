//! Machines and their controllers: EtherNet/IP and CIP (ODVA, volume 2), FINS (Omron W421), ADS
//! (Beckhoff's AMS), HART-IP (FieldComm TP10300), GE SRTP and EGD, PCWorx and ProConOS (Phoenix
//! Contact), CODESYS, SLMP (Mitsubishi, SH-080956), S-Bus and S-IO (Saia), TriStation (Triconex),
//! EtherCAT over UDP (ETG.1000), OPC UA (part 6), CNP/IP (EIA-852), Fox (Tridium Niagara).

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const ETHERNET_IP: Dissector =
    Dissector::both(Protocol::ETHERNET_IP, &[44_818, 2222], |view, _| {
        if view.is_udp() && is_cip(view) == Some(true) {
            return Verdict::Is(Protocol::CIP);
        }
        view.judge(Protocol::ETHERNET_IP, is_ethernet_ip(view))
    });

pub(super) const FINS: Dissector =
    Dissector::both(Protocol::FINS, &[9600], |view, _| view.judge(Protocol::FINS, is_fins(view)));

pub(super) const ADS: Dissector = Dissector::both(Protocol::ADS, &[48_898, 48_899], |view, _| {
    view.judge(Protocol::ADS, is_ads(view))
});

pub(super) const HART_IP: Dissector = Dissector::both(Protocol::HART_IP, &[5094], |view, _| {
    view.judge(Protocol::HART_IP, is_hart(view))
});

pub(super) const GE_SRTP: Dissector = Dissector::tcp(Protocol::GE_SRTP, &[18_245], |view, _| {
    view.judge(Protocol::GE_SRTP, is_srtp(view))
})
.bound();

pub(super) const GE_EGD: Dissector = Dissector::udp(Protocol::GE_EGD, &[18_246], |view, _| {
    view.judge(
        Protocol::GE_EGD,
        view.at(0).map(|head| head == [0x0d, 1] && view.has_port(18_246) && view.len >= 32),
    )
})
.bound();

pub(super) const PCWORX: Dissector = Dissector::tcp(Protocol::PCWORX, &[1962], |view, _| {
    view.judge(Protocol::PCWORX, is_pcworx(view))
});

pub(super) const PROCONOS: Dissector = Dissector::tcp(Protocol::PROCONOS, &[20_547], |view, _| {
    let head = view.at(0).map(|head| view.has_port(20_547) && matches!(head, [0xcc, 0 | 1]));
    view.judge(Protocol::PROCONOS, head)
})
.bound();

pub(super) const CODESYS: Dissector =
    Dissector::tcp(Protocol::CODESYS, &[11_740, 2455], |view, _| {
        view.judge(Protocol::CODESYS, is_codesys(view.data))
    });

pub(super) const MELSEC: Dissector = Dissector::both(Protocol::MELSEC, &[5006, 5007], |view, _| {
    view.judge(Protocol::MELSEC, is_melsec(view))
});

pub(super) const ETHER_S_BUS: Dissector =
    Dissector::udp(Protocol::ETHER_S_BUS, &[5050], |view, _| {
        view.judge(Protocol::ETHER_S_BUS, is_s_bus(view))
    });

pub(super) const ETHER_S_IO: Dissector =
    Dissector::udp(Protocol::ETHER_S_IO, &[6060], |view, _| {
        view.judge(Protocol::ETHER_S_IO, Some(view.data.starts_with(b"ESIO")))
    });

pub(super) const TRISTATION: Dissector =
    Dissector::udp(Protocol::TRISTATION, &[1502], |view, _| {
        view.judge(Protocol::TRISTATION, is_tristation(view))
    })
    .bound();

pub(super) const ETHERCAT: Dissector = Dissector::udp(Protocol::ETHERCAT, &[34_980], |view, _| {
    view.judge(Protocol::ETHERCAT, is_ethercat(view))
})
.bound();

pub(super) const OPC_UA: Dissector = Dissector::tcp(Protocol::OPC_UA, &[4840], |view, facts| {
    view.judge(Protocol::OPC_UA, read_opc_ua(view.data, facts))
});

pub(super) const CNP_IP: Dissector = Dissector::both(Protocol::CNP_IP, &[1628, 1629], |view, _| {
    view.judge(Protocol::CNP_IP, is_cnp(view))
})
.bound();

pub(super) const FOX: Dissector = Dissector::tcp(Protocol::FOX, &[1911], fox);

/// Command, length, session, status, context, options: the last are zero.
fn is_ethernet_ip(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    let (command, len) = (cursor.u16_le()?, usize::from(cursor.u16_le()?));
    if !matches!(command, 4 | 0x63..=0x66 | 0x6f | 0x70 | 0x72 | 0x73) {
        return Some(false);
    }
    let (session, status) = (cursor.u32_le()?, cursor.u32_le()?);
    cursor.skip(8)?;
    let options = cursor.u32_le()?;
    let is_status = matches!(status, 0..=3 | 0x64 | 0x65 | 0x69);
    let is_whole =
        view.len.saturating_sub(24) == len || (view.is_tcp() && view.len > len.saturating_add(24));
    let is_session = match command {
        4 | 0x63 | 0x64 => true,
        0x65 => len == 4,
        _ => session != 0,
    };
    Some(options == 0 && is_status && is_whole && is_session)
}

/// Items of a common packet: an address in sequence, then the data of a connection, which is the
/// rest. Connections agree upon their ports, 2222 is only where they are looked for first.
fn is_cip(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    let (items, kind, len) = (cursor.u16_le()?, cursor.u16_le()?, cursor.u16_le()?);
    let is_address =
        items == 2 && matches!((kind, len), (0x8002, 8) | (0x8000, 4..=64) | (0x00a1, 4));
    if !is_address {
        return Some(false);
    }
    cursor.skip(len.into())?;
    let (kind, len) = (cursor.u16_le()?, usize::from(cursor.u16_le()?));
    let before = view.data.len().saturating_sub(cursor.rest().len());
    Some(matches!(kind, 0x00b1 | 0x00b2) && before.saturating_add(len) == view.len)
}

/// Over TCP a magic text; over UDP a header whose reserved octet is zero.
fn is_fins(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    if view.is_tcp() {
        let magic = cursor.array::<4>()?;
        let (len, command) = (cursor.u32()?, cursor.u32()?);
        return Some(
            magic == *b"FINS" && (8..=4_096).contains(&len) && matches!(command, 0..=3 | 6),
        );
    }
    let [control, reserved, gateways, network, node, unit] = cursor.array()?;
    let [from_network, _, _, _, main, _] = cursor.array()?;
    let is_control = matches!(control, 0x80 | 0x81 | 0xc0 | 0xc1);
    let is_address = gateways <= 7 && network <= 0x7f && from_network <= 0x7f && unit <= 0xfe;
    let is_command = matches!(main, 1..=8 | 0x0c | 0x20..=0x23 | 0x26);
    Some(
        view.has_port(9600)
            && is_control
            && reserved == 0
            && is_address
            && is_command
            && node != 0xfe,
    )
}

/// Over TCP two zeros and a length; two identities with ports, a command, flags, a size.
fn is_ads(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    if view.is_udp() {
        return Some(cursor.array()? == [0x71, 0x14, 0x66, 0x03] && view.has_port(48_899));
    }
    let (zero, len) = (cursor.u16()?, cursor.u32_le()?);
    if zero != 0 || !(32..=0x10_0000).contains(&len) {
        return Some(false);
    }
    cursor.skip(16)?;
    let (command, flags, size) = (cursor.u16_le()?, cursor.u16_le()?, cursor.u32_le()?);
    Some(command <= 9 && matches!(flags & !0x40, 4 | 5) && size == len.saturating_sub(32))
}

/// Version, kind, identifier, status, sequence, length of all.
fn is_hart(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    let [version, kind, id, _status] = cursor.array()?;
    let (_sequence, len) = (cursor.u16()?, usize::from(cursor.u16()?));
    let is_kind = matches!(kind, 0..=2 | 15) && matches!(id, 0..=4);
    let is_whole = len == view.len || (view.is_tcp() && (8..view.len).contains(&len));
    // A session opens with whose it is and after how long it ends.
    let is_known = view.has_port(5094) || (id == 0 && len == 13);
    Some(matches!(version, 1 | 2) && is_kind && is_whole && is_known && len >= 8)
}

/// A mailbox of 56 octets; the first is all zero, its answer but for the first.
fn is_srtp(view: &View<'_>) -> Option<bool> {
    if !view.has_port(18_245) {
        return Some(false);
    }
    let [first, rest @ ..] = view.at::<56>(0)?;
    let is_empty = rest.iter().skip(8).all(|octet| *octet == 0);
    let [kind] = view.at(31)?;
    Some(match first {
        0 | 1 => is_empty,
        2 | 3 => matches!(kind, 0x80 | 0x94 | 0xc0 | 0xd1 | 0xd4),
        8 => true,
        _ => false,
    })
}

/// A connection, with the name of a module; and its answer.
fn is_pcworx(view: &View<'_>) -> Option<bool> {
    let [kind, 1, 0, len, 0, 0, 0, 0] = view.at(0)? else { return Some(false) };
    let is_asked = kind == 1 && view.data.get(14..).is_some_and(|name| name.starts_with(b"IBETH"));
    Some(is_asked || (kind == 0x81 && view.has_port(1962) && usize::from(len) <= view.len))
}

/// The block driver of version 3, in its order of octets; or the mark of version 2.
fn is_codesys(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    match cursor.array()? {
        [0x00, 0x01, 0x17, 0xe8] => {
            let len = usize::try_from(cursor.u32_le()?).ok()?;
            Some(len >= 8 && len >= data.len().min(512))
        }
        [0xbb, 0xbb, 0, 0] => {
            let len = usize::from(cursor.u16()?);
            Some(cursor.rest().len() == len || len == 1 || len == 0x0100)
        }
        _ => Some(false),
    }
}

/// Frames 3E and 4E in binary: a route to the processor, and a length that fits.
fn is_melsec(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    match cursor.array()? {
        [0x50 | 0xd0, 0] => {}
        [0x54 | 0xd4, 0] => {
            let (_serial, zero) = (cursor.u16()?, cursor.u16()?);
            if zero != 0 {
                return Some(false);
            }
        }
        _ => return Some(false),
    }
    let [_network, _station, low, high, _drop] = cursor.array()?;
    let len = usize::from(cursor.u16_le()?);
    let rest = view.len.saturating_sub(view.data.len()).saturating_add(cursor.rest().len());
    Some(
        matches!((low, high), (0xff, 0x03) | (0xd0..=0xd3, 0x03) | (0xe0..=0xe3, 0x03))
            && len == rest
            && len >= 2,
    )
}

/// Length of all, version 1, kind, and a checksum over all at the end (0x1021).
fn is_s_bus(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    let (len, version, protocol) = (cursor.u32()?, cursor.u8()?, cursor.u8()?);
    let (_sequence, kind) = (cursor.u16()?, cursor.u8()?);
    if usize::try_from(len).ok()? != view.data.len() || version > 1 || protocol > 1 || kind > 2 {
        return Some(false);
    }
    let (body, sum) = view.data.split_last_chunk::<2>()?;
    let mut check = 0_u16;
    for octet in body {
        check ^= u16::from(*octet) << 8;
        for _ in 0..8 {
            check = if check & 0x8000 != 0 { check << 1 ^ 0x1021 } else { check << 1 };
        }
    }
    Some(check == u16::from_be_bytes(*sum))
}

/// Kind, channel, length of what lies before a checksum.
fn is_tristation(view: &View<'_>) -> Option<bool> {
    let [kind, channel, low, high] = view.at(0)?;
    let len = usize::from(u16::from_le_bytes([low, high]));
    let is_whole = view.len == len.saturating_add(6);
    Some(view.has_port(1502) && (1..=12).contains(&kind) && channel <= 15 && is_whole)
}

/// A length of eleven bits, a bit that is zero, kind 1.
fn is_ethercat(view: &View<'_>) -> Option<bool> {
    let header = u16::from_le_bytes(view.at(0)?);
    let len = usize::from(header & 0x07ff);
    Some(
        view.has_port(34_980)
            && header >> 11 == 2
            && len >= 12
            && len <= view.len.saturating_sub(2),
    )
}

/// Three letters, the kind of chunk, the size; a hello names its endpoint.
fn read_opc_ua(data: &[u8], facts: &mut Facts) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let [kind @ .., chunk] = cursor.array::<4>()?;
    let len = cursor.u32_le()?;
    let is_kind = matches!(&kind, b"HEL" | b"ACK" | b"ERR" | b"RHE" | b"OPN" | b"MSG" | b"CLO");
    if !is_kind || !matches!(chunk, b'F' | b'C' | b'A') || !(16..=0x400_0000).contains(&len) {
        return Some(false);
    }
    if kind == *b"HEL" && len >= 32 {
        cursor.skip(20)?;
        let size = cursor.u32_le()?;
        let url = cursor.take(usize::try_from(size).ok()?.min(255))?;
        if let Some(host) = url.strip_prefix(b"opc.tcp://") {
            let end = host.iter().position(|o| matches!(o, b':' | b'/')).unwrap_or(host.len());
            facts.put(Fact::Host, host.get(..end).unwrap_or_default());
        }
    }
    Some(true)
}

/// Length of all, version 1, kind, size of extensions, then vendor, session, sequence, time.
fn is_cnp(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    let (len, version, kind) = (usize::from(cursor.u16()?), cursor.u8()?, cursor.u8()?);
    let is_kind = matches!(kind, 1 | 3 | 4 | 6..=8 | 0x60..=0x7f);
    let is_here = view.has_port(1628) || view.has_port(1629);
    Some(is_here && len == view.len && len >= 20 && version == 1 && is_kind)
}

/// Frames begin with the protocol's name and its kind.
fn fox(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.opens(b"fox a ", Protocol::FOX)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    fn tcp(port: u16, payload: &str) -> Protocol {
        Talk::tcp(port).client(&hex(payload)).protocol()
    }

    fn udp(port: u16, payload: &str) -> Protocol {
        Talk::udp(port).client(&hex(payload)).protocol()
    }

    #[test]
    fn ethernet_ip_and_cip() {
        let register = "6500 0400 00000000 00000000 0000000000000000 00000000 01000000";
        assert_eq!(tcp(44_818, register), Protocol::ETHERNET_IP);
        assert_eq!(
            udp(44_818, "6300 0000 00000000 00000000 0000000000000000 00000000"),
            Protocol::ETHERNET_IP
        );
        assert_eq!(
            udp(44_818, "6300 0100 00000000 00000000 0000000000000000 00000000"),
            Protocol::UNKNOWN
        );
        let produced = "0200 0280 0800 01020304 05000000 b100 0200 0000";
        assert_eq!(udp(2222, produced), Protocol::CIP);
        assert_eq!(udp(50_222, produced), Protocol::CIP);
        assert_eq!(udp(2222, &produced.replace("b100 0200", "b100 0300")), Protocol::UNKNOWN);
    }

    #[test]
    fn controllers() {
        assert_eq!(tcp(9600, "46494e53 0000000c 00000000 00000000 00000000"), Protocol::FINS);
        assert_eq!(
            udp(9600, "80 00 02 00 01 00 00 02 00 19 01 01 82 00 64 00 00 01"),
            Protocol::FINS
        );
        assert_eq!(
            udp(9600, "80 01 02 00 01 00 00 02 00 19 01 01 82 00 64 00 00 01"),
            Protocol::UNKNOWN
        );
        let state = "0000 20000000 c0a80001 0101 2103 c0a80002 0101 f180 0400 0400 00000000 00000000 01000000";
        assert_eq!(tcp(48_898, state), Protocol::ADS);
        assert_eq!(tcp(48_898, &state.replace("0000 2000", "0000 2100")), Protocol::UNKNOWN);
        assert_eq!(udp(5094, "01 00 00 00 0001 000d 01 00007530"), Protocol::HART_IP);
        assert_eq!(udp(5094, "01 00 00 00 0001 000e 01 00007530"), Protocol::UNKNOWN);
        assert_eq!(tcp(18_245, &"00".repeat(56)), Protocol::GE_SRTP);
        assert_eq!(tcp(18_246, &"00".repeat(56)), Protocol::UNKNOWN);
        assert_eq!(
            tcp(1962, "0101001a 00000000 788000030 00c 4942455448303 14e305f4d00"),
            Protocol::PCWORX
        );
        assert_eq!(tcp(20_547, "cc01000b4002000047ee"), Protocol::PROCONOS);
        assert_eq!(tcp(11_740, "000117e8 0c000000 01020304"), Protocol::CODESYS);
        assert_eq!(
            tcp(5007, "5000 00 ff ff03 00 0c00 1000 0104 0000 640000a8 0100"),
            Protocol::MELSEC
        );
        assert_eq!(
            tcp(5007, "5000 00 ff ff03 00 0d00 1000 0104 0000 640000a8 0100"),
            Protocol::UNKNOWN
        );
    }

    #[test]
    fn more_controllers() {
        assert_eq!(udp(6060, "4553494f 0000 0001"), Protocol::ETHER_S_IO);
        assert_eq!(udp(1502, "05 00 0400 01020304 abcd"), Protocol::TRISTATION);
        assert_eq!(udp(1502, "05 00 0500 01020304 abcd"), Protocol::UNKNOWN);
        assert_eq!(udp(34_980, "0e10 0700000000000000020000000000"), Protocol::ETHERCAT);
        assert_eq!(udp(1628, "0014 01 01 00 00 0000 00000001 00000001 00000000"), Protocol::CNP_IP);
        assert_eq!(Talk::tcp(1911).client(b"fox a 1 -1 fox hello\n{\n").protocol(), Protocol::FOX);
        let mut bus = hex("0000000d 01 00 0001 00 05 20");
        bus.extend_from_slice(&0x4326_u16.to_be_bytes());
        assert_eq!(Talk::udp(5050).client(&bus).protocol(), Protocol::ETHER_S_BUS);
        bus[10] ^= 1;
        assert_eq!(Talk::udp(5050).client(&bus).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn opc_ua_names_its_server() {
        let mut hello =
            hex("48454c46 37000000 00000000 00000100 00000100 00000000 00000000 17000000");
        hello.extend_from_slice(b"opc.tcp://plc.example:4");
        Talk::tcp(4840).client(&hello).survives();
        let talk = Talk::tcp(4840).client(&hello);
        assert_eq!(talk.protocol(), Protocol::OPC_UA);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("plc.example"));
    }
}
