//! IEEE 802.11 data frames, bare or behind a radiotap header (<https://www.radiotap.org>).

use super::link::{Macs, llc};
use super::span::Span;
use super::{Step, Stop};

/// The radiotap flag: bytes between the 802.11 header and its body up to a multiple of four.
const FLAG_DATA_PAD: u8 = 0x20;

/// Takes a radiotap header off and opens the frame behind it.
pub(super) fn radiotap(span: Span<'_>) -> Result<(Macs, Step<'_>), Stop> {
    let ([version, _, l0, l1, ..], _) = span.split::<8>()?;
    let len = usize::from(u16::from_le_bytes([*l0, *l1]));
    if *version != 0 || len < 8 {
        return Err(Stop::Malformed);
    }
    let rest = span.skip(len)?;
    let padded = flags(span.bytes.get(..len).unwrap_or_default()) & FLAG_DATA_PAD != 0;
    open(rest, padded)
}

/// The flags field of a radiotap header, 0 if it has none.
fn flags(header: &[u8]) -> u8 {
    const TSFT: u32 = 1;
    const FLAGS: u32 = 1 << 1;
    const MORE: u32 = 1 << 31;
    let word = |at: usize| header.get(at..).and_then(<[u8]>::first_chunk).copied();
    let Some(first) = word(4).map(u32::from_le_bytes) else {
        return 0;
    };
    if first & FLAGS == 0 {
        return 0;
    }
    // The fields start behind the last word of the bitmap.
    let words = (4..header.len())
        .step_by(4)
        .take_while(|&at| word(at).map(u32::from_le_bytes).is_some_and(|w| w & MORE != 0))
        .count();
    let fields = words.saturating_mul(4).saturating_add(8);
    let at = if first & TSFT == 0 { fields } else { fields.next_multiple_of(8).saturating_add(8) };
    header.get(at).copied().unwrap_or(0)
}

/// Opens an 802.11 frame: only unprotected data frames carry something to read.
pub(super) fn open(span: Span<'_>, padded: bool) -> Result<(Macs, Step<'_>), Stop> {
    const TYPE_DATA: u8 = 2;
    const NO_DATA: u8 = 0x40;
    const QOS: u8 = 0x80;
    const PROTECTED: u8 = 0x40;
    const ORDER: u8 = 0x80;
    const AGGREGATE: u8 = 0x80;

    // Frame control, duration, three addresses, sequence control.
    let (header, _) = span.split::<24>()?;
    let [kind, control, ..] = *header;
    if kind >> 2 & 3 != TYPE_DATA {
        return Ok((None, Step::End));
    }
    let address = |at: usize| span.bytes.get(at..).and_then(<[u8]>::first_chunk::<6>).copied();
    let (four, qos) = (control & 3 == 3, kind & QOS != 0);
    let (to, from) = match control & 3 {
        0 => (4, 10),
        1 => (16, 10),
        2 => (4, 16),
        _ => (16, 24),
    };
    let macs = address(to).zip(address(from));
    let mut len: usize = if four { 30 } else { 24 };
    if qos {
        let aggregate = span.bytes.get(len).is_some_and(|byte| byte & AGGREGATE != 0);
        if aggregate {
            return Ok((macs, Step::End));
        }
        len = len.saturating_add(if control & ORDER == 0 { 2 } else { 6 });
    }
    if kind & NO_DATA != 0 || control & PROTECTED != 0 {
        return Ok((macs, Step::End));
    }
    if padded {
        len = len.next_multiple_of(4);
    }
    Ok((macs, llc(span.skip(len)?)?))
}
