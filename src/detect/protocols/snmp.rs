//! SNMP: RFC 1157 (version 1), RFC 1901 and 3416 (2c), RFC 3412 (3).

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::SNMP, &[161, 162, 10161, 10162], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.judge(Protocol::SNMP, fits(view.data, view.len))
}

fn fits(data: &[u8], len: usize) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if cursor.u8()? != 0x30 {
        return Some(false);
    }
    let mut cursor = Cursor::new(data);
    let (_, whole) = cursor.ber()?;
    let header = data.len().saturating_sub(cursor.rest().len());
    // A cut capture has less of it, a stream may have the next message too.
    if whole > len.saturating_sub(header) || whole < 10 {
        return Some(false);
    }
    let (0x02, [version]) = cursor.ber_value()? else { return Some(false) };
    match version {
        // A community and a PDU of its context.
        0 | 1 => {
            let (tag, community) = cursor.ber_value()?;
            let (pdu, _) = cursor.ber()?;
            Some(tag == 0x04 && community.len() <= 64 && (0xa0..=0xa8).contains(&pdu))
        }
        // A header of four numbers, the first of which is the message's.
        3 => {
            let (tag, header) = cursor.ber_value()?;
            let mut header = Cursor::new(header);
            let (id, _) = header.ber_value()?;
            let (max, _) = header.ber_value()?;
            let (flags, octets) = header.ber_value()?;
            Some((tag, id, max, flags, octets.len()) == (0x30, 2, 2, 4, 1))
        }
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    const GET: &str = "30 26 02 01 01 04 06 70 75 62 6c 69 63 a0 19 02 01 01 02 01 00 02 01 00 \
         30 0e 30 0c 06 08 2b 06 01 02 01 01 05 00 05 00";

    #[test]
    fn versions_2c_and_3() {
        assert_eq!(Talk::udp(161).client(&hex(GET)).protocol(), Protocol::SNMP);
        let v3 = hex("30 20 02 01 03 30 0e 02 01 05 02 03 00 ff e3 04 01 04 02 01 03 \
             04 04 00 00 00 00 30 05 04 00 04 00 a0");
        Talk::tcp(161).client(&v3).survives();
        assert_eq!(Talk::udp(40_161).client(&v3).protocol(), Protocol::SNMP);
    }

    #[test]
    fn other_ber_is_not() {
        let mut other = hex(GET);
        other[4] = 2;
        assert_eq!(Talk::udp(161).client(&other).protocol(), Protocol::UNKNOWN);
        let cut = hex(GET);
        assert_eq!(Talk::udp(161).client(&cut[..30]).protocol(), Protocol::UNKNOWN);
    }
}
