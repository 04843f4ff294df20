//! What happened to the segments of a TCP connection, told from their sequence numbers alone: no
//! payload is kept.

use super::flow::TcpEnd;

/// Holes that are remembered in one direction; the oldest one then stays a loss for good.
const MAX_HOLES: usize = 4;

/// What follows the acknowledged bytes cannot be farther ahead than the largest window.
const MAX_AHEAD: u32 = 1 << 30;

/// One direction of a connection (RFC 9293, 3.4).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stream {
    /// The sequence number expected next, once one was seen.
    next: Option<u32>,
    holes: [Hole; MAX_HOLES],
}

/// Bytes that did not come yet; none if it has no length.
#[derive(Clone, Copy, Debug, Default)]
struct Hole {
    at: u32,
    len: u32,
}

/// What one segment says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Segment {
    pub(super) seq: u32,
    pub(super) len: u32,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
}

impl Stream {
    /// Accounts for a segment; those that carry nothing are left out.
    pub(super) fn see(&mut self, segment: Segment, end: &mut TcpEnd) {
        let Segment { seq, len, syn, fin, rst } = segment;
        if !(syn || fin || rst || len > 0) {
            return;
        }
        end.saw_start |= i64::from(syn);
        end.saw_end |= i64::from(fin || rst);
        // SYN takes a number before the payload, FIN one behind it.
        let begin = seq.wrapping_add(u32::from(syn));
        let behind = begin.wrapping_add(len).wrapping_add(u32::from(fin));
        let next = *self.next.get_or_insert(begin);
        let ahead = begin.wrapping_sub(next);
        if ahead < MAX_AHEAD {
            if ahead > 0 {
                self.miss(Hole { at: next, len: ahead }, end);
            }
            self.next = Some(behind);
            count(end, len);
            return;
        }
        // It begins before what is expected: late, or sent again.
        let filled = self.fill(begin, len, end);
        let fresh = behind.wrapping_sub(next);
        if filled > 0 {
            end.out_of_order = end.out_of_order.saturating_add(1);
        }
        let new = if fresh > 0 && fresh < MAX_AHEAD {
            self.next = Some(behind);
            fresh.saturating_sub(u32::from(fin))
        } else {
            0
        };
        if filled > 0 || new > 0 {
            count(end, filled.saturating_add(new));
        }
    }

    fn miss(&mut self, hole: Hole, end: &mut TcpEnd) {
        end.skipped = end.skipped.saturating_add(1);
        end.skipped_bytes = end.skipped_bytes.saturating_add(i64::from(hole.len));
        match self.holes.iter_mut().find(|place| place.len == 0) {
            Some(place) => *place = hole,
            None => {
                self.holes.rotate_left(1);
                if let Some(place) = self.holes.last_mut() {
                    *place = hole;
                }
            }
        }
    }

    /// Takes the bytes out of the holes that they belong to; how many of them were missing.
    fn fill(&mut self, at: u32, len: u32, end: &mut TcpEnd) -> u32 {
        let mut filled = 0_u32;
        for hole in self.holes.iter_mut().filter(|hole| hole.len > 0) {
            // Places relative to the begin of the hole; what lies before it is negative.
            let from = at.wrapping_sub(hole.at).cast_signed();
            let to = from.saturating_add_unsigned(len);
            let (low, high) = (from.max(0).unsigned_abs(), to.max(0).unsigned_abs().min(hole.len));
            let Some(part) = high.checked_sub(low).filter(|part| *part > 0) else { continue };
            filled = filled.saturating_add(part);
            end.skipped_bytes = end.skipped_bytes.saturating_sub(i64::from(part));
            // What is left is the greater of both sides; a segment in the middle of a hole is
            // rare, and the smaller side then counts as come.
            let (before, after) = (low, hole.len.saturating_sub(high));
            let lost = if before >= after {
                hole.len = before;
                after
            } else {
                *hole = Hole { at: hole.at.wrapping_add(high), len: after };
                before
            };
            end.skipped_bytes = end.skipped_bytes.saturating_sub(i64::from(lost));
            if hole.len == 0 {
                end.skipped = end.skipped.saturating_sub(1);
            }
        }
        filled
    }
}

fn count(end: &mut TcpEnd, bytes: u32) {
    end.packets = end.packets.saturating_add(1);
    end.bytes = end.bytes.saturating_add(i64::from(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(segments: &[(u32, u32)]) -> TcpEnd {
        let (mut stream, mut end) = (Stream::default(), TcpEnd::default());
        stream.see(Segment { seq: u32::MAX, syn: true, ..Segment::default() }, &mut end);
        for (seq, len) in segments {
            stream.see(Segment { seq: *seq, len: *len, ..Segment::default() }, &mut end);
        }
        end
    }

    fn figures(end: &TcpEnd) -> [i64; 5] {
        [end.packets, end.bytes, end.out_of_order, end.skipped, end.skipped_bytes]
    }

    #[test]
    fn segments_in_order_are_counted_once_each() {
        let end = run(&[(0, 10), (10, 0), (10, 5)]);
        assert_eq!(figures(&end), [3, 15, 0, 0, 0]);
        assert_eq!((end.saw_start, end.saw_end), (1, 0));
    }

    #[test]
    fn a_segment_sent_again_counts_nothing() {
        assert_eq!(figures(&run(&[(0, 10), (0, 10), (10, 5)])), [3, 15, 0, 0, 0]);
        // Sent again with more behind it: only that is new.
        assert_eq!(figures(&run(&[(0, 10), (0, 15)])), [3, 15, 0, 0, 0]);
    }

    #[test]
    fn a_late_segment_is_out_of_order_and_a_lost_one_is_skipped() {
        assert_eq!(figures(&run(&[(0, 10), (20, 10)])), [3, 20, 0, 1, 10]);
        assert_eq!(figures(&run(&[(0, 10), (20, 10), (10, 10)])), [4, 30, 1, 0, 0]);
        assert_eq!(figures(&run(&[(0, 10), (30, 10), (10, 10), (20, 10)])), [5, 40, 2, 0, 0]);
    }

    #[test]
    fn more_holes_than_are_remembered_stay_losses() {
        let mut segments: Vec<(u32, u32)> = (0..10).map(|n| (n * 20 + 10, 10)).collect();
        segments.push((0, 10));
        assert_eq!(figures(&run(&segments)), [11, 100, 0, 10, 100]);
    }

    #[test]
    fn a_connection_seen_from_its_middle_has_no_hole_before_it() {
        let (mut stream, mut end) = (Stream::default(), TcpEnd::default());
        stream.see(Segment { seq: 5_000, len: 7, ..Segment::default() }, &mut end);
        stream.see(Segment { seq: 5_007, fin: true, ..Segment::default() }, &mut end);
        assert_eq!(figures(&end), [2, 7, 0, 0, 0]);
        assert_eq!((end.saw_start, end.saw_end), (0, 1));
    }

    proptest::proptest! {
        #[test]
        fn no_segments_make_a_negative_figure(
            segments in proptest::collection::vec(
                (proptest::num::u32::ANY, 0_u32..70_000, proptest::num::u8::ANY), 0..60),
        ) {
            let (mut stream, mut end) = (Stream::default(), TcpEnd::default());
            for (seq, len, flags) in segments {
                let seq = if flags & 8 == 0 { seq & 0xffff } else { seq };
                let (syn, fin, rst) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
                stream.see(Segment { seq, len, syn, fin, rst }, &mut end);
                proptest::prop_assert!(figures(&end).iter().all(|figure| *figure >= 0));
            }
        }
    }
}
