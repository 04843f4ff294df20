//! ONC RPC: RFC 5531; NFS (RFC 1813, 7530) with what belongs to it, and VXI-11, by the numbers
//! of their programs.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::NFS, &[2049], dissect);

/// Programs (IANA, Remote Procedure Call Program Numbers).
const PORTMAP: u32 = 100_000;
const NETWORK_FILES: u32 = 100_003;
const MOUNT: u32 = 100_005;
const LOCKS: u32 = 100_021;
const STATUS: u32 = 100_024;
const INSTRUMENTS: u32 = 395_183;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let mut cursor = view.cursor();
    if view.is_tcp() {
        // The mark of a record: whether it is its last fragment, and its length.
        let Some(mark) = cursor.u32() else { return Verdict::Wait };
        let len = mark & 0x7fff_ffff;
        if !(24..=4_194_304).contains(&len) || len % 4 != 0 {
            return Verdict::No;
        }
    } else if !view.len.is_multiple_of(4) {
        return Verdict::No;
    }
    match read(cursor, view) {
        Some(Some(protocol)) => Verdict::Is(protocol),
        Some(None) => Verdict::No,
        None => view.short(),
    }
}

fn read(mut cursor: Cursor<'_>, view: &View<'_>) -> Option<Option<Protocol>> {
    cursor.skip(4)?;
    match cursor.u32()? {
        0 => read_call(cursor),
        // An answer does not say what to.
        1 if view.has_port(2049) && is_reply(cursor)? => Some(Some(Protocol::NFS)),
        1 if view.has_port(111) && is_reply(cursor)? => Some(Some(Protocol::ONC_RPC)),
        _ => Some(None),
    }
}

fn read_call(mut cursor: Cursor<'_>) -> Option<Option<Protocol>> {
    let (2, program, version, procedure) =
        (cursor.u32()?, cursor.u32()?, cursor.u32()?, cursor.u32()?)
    else {
        return Some(None);
    };
    let (flavor, len) = (cursor.u32()?, cursor.u32()?);
    let is_credential = is_flavor(flavor) && len <= 400 && len % 4 == 0;
    if !is_credential
        || version > 200
        || procedure > 200
        || !(PORTMAP..0x6000_0000).contains(&program)
    {
        return Some(None);
    }
    cursor.skip(usize::try_from(len).ok()?)?;
    let (verifier, len) = (cursor.u32()?, cursor.u32()?);
    if !is_flavor(verifier) || len > 400 {
        return Some(None);
    }
    Some(Some(match program {
        NETWORK_FILES | MOUNT | LOCKS | STATUS => Protocol::NFS,
        INSTRUMENTS => Protocol::VXI11,
        // Whoever asks for the port of NFS is on the way to it.
        PORTMAP if (2..=4).contains(&version) && procedure == 3 => {
            cursor.skip(usize::try_from(len).ok()?)?;
            let wanted = cursor.u32()?;
            let is_nfs = matches!(wanted, NETWORK_FILES | MOUNT | LOCKS | STATUS);
            if is_nfs { Protocol::NFS } else { Protocol::ONC_RPC }
        }
        _ => Protocol::ONC_RPC,
    }))
}

/// None, Unix, short, Diffie-Hellman, Kerberos, GSS.
const fn is_flavor(flavor: u32) -> bool {
    matches!(flavor, 0..=6)
}

fn is_reply(mut cursor: Cursor<'_>) -> Option<bool> {
    Some(match cursor.u32()? {
        0 => {
            let (flavor, len) = (cursor.u32()?, cursor.u32()?);
            is_flavor(flavor) && len <= 400
        }
        1 => cursor.u32()? <= 1,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    const NULL: &str = "2a 2a 2a 2a 00000000 00000002 000186a3 00000003 00000000 \
         00000000 00000000 00000000 00000000";

    #[test]
    fn programs_have_names() {
        assert_eq!(Talk::udp(706).client(&hex(NULL)).protocol(), Protocol::NFS);
        let mut other = hex(NULL);
        other[15] = 0xa4;
        assert_eq!(Talk::udp(706).client(&other).protocol(), Protocol::ONC_RPC);
        other[11] = 3;
        assert_eq!(Talk::udp(706).client(&other).protocol(), Protocol::UNKNOWN);
        let mut stream = hex("80000028");
        stream.extend_from_slice(&hex(NULL));
        assert_eq!(Talk::tcp(2049).client(&stream).protocol(), Protocol::NFS);
    }

    #[test]
    fn who_asks_for_a_port_of_nfs_means_nfs() {
        let mut ask = hex("2a2a2a2a 00000000 00000002 000186a0 00000002 00000003 \
             00000000 00000000 00000000 00000000 000186a5 00000003 00000011 00000000");
        assert_eq!(Talk::udp(111).client(&ask).protocol(), Protocol::NFS);
        Talk::udp(111).client(&ask).survives();
        ask[43] = 0xa7;
        assert_eq!(Talk::udp(111).client(&ask).protocol(), Protocol::ONC_RPC);
    }

    #[test]
    fn an_answer_alone_goes_by_its_port() {
        let answer = hex("2a2a2a2a 00000001 00000000 00000000 00000000 00000000");
        assert_eq!(Talk::udp(2049).server(&answer).protocol(), Protocol::NFS);
        assert_eq!(Talk::udp(1048).server(&answer).protocol(), Protocol::UNKNOWN);
    }
}
