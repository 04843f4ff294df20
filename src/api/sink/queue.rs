//! Records on their way to one consumer of telemetry, with a hard cap. When it is full the oldest
//! figures give way first, then the oldest records of flows; the consumer is told how many.

use std::collections::VecDeque;

use crate::config::telemetry::Format;
use crate::wire::json;

/// Octets that wait for one consumer.
pub const MAX_WAITING: usize = 256 * 1024;

#[derive(Debug)]
struct Record {
    /// A JSON object, without a newline.
    json: Vec<u8>,
    is_statistics: bool,
}

/// What waits.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Record>,
    octets: usize,
    /// Figures among what waits.
    statistics: usize,
    /// Lost, and not yet told.
    lost: u64,
    /// Lost in all.
    pub dropped: u64,
}

impl Queue {
    /// Takes in a record, and drops others where there is no room.
    pub fn push(&mut self, json: Vec<u8>, is_statistics: bool) {
        while self.octets.saturating_add(json.len()) > MAX_WAITING && !self.waiting.is_empty() {
            if is_statistics && self.statistics == 0 {
                // Older records of flows are worth more than new figures.
                return self.lose(1);
            }
            let first = if self.statistics > 0 {
                self.waiting.iter().position(|record| record.is_statistics)
            } else {
                None
            };
            self.remove(first.unwrap_or(0));
            self.lose(1);
        }
        self.octets = self.octets.saturating_add(json.len());
        self.statistics = self.statistics.saturating_add(usize::from(is_statistics));
        self.waiting.push_back(Record { json, is_statistics });
    }

    /// Notes records that were lost before they came here.
    pub fn lose(&mut self, count: u64) {
        self.lost = self.lost.saturating_add(count);
        self.dropped = self.dropped.saturating_add(count);
    }

    /// The next thing to be told: how many were lost, then a record.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        if self.lost > 0 {
            let mut notice = br#"{"type":"x_dropped","count":"#.to_vec();
            json::unsigned(&mut notice, std::mem::take(&mut self.lost));
            notice.push(b'}');
            return Some(notice);
        }
        self.remove(0)
    }

    /// Octets that wait.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.octets
    }

    /// Whether nothing is to be told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lost == 0
    }

    fn remove(&mut self, at: usize) -> Option<Vec<u8>> {
        let record = self.waiting.remove(at)?;
        self.octets = self.octets.saturating_sub(record.json.len());
        self.statistics = self.statistics.saturating_sub(usize::from(record.is_statistics));
        Some(record.json)
    }
}

/// Appends a record as it goes over a stream: a line, with its length in a line before it where
/// consumers expect that. The newline at its end counts.
pub fn frame(out: &mut Vec<u8>, json: &[u8], format: Format) {
    if format == Format::Legacy {
        out.extend_from_slice(b"{\"length\": ");
        json::unsigned(out, json.len().saturating_add(1) as u64);
        out.extend_from_slice(b"}\n");
    }
    out.extend_from_slice(json);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(record: Option<Vec<u8>>) -> String {
        String::from_utf8(record.unwrap()).unwrap()
    }

    #[test]
    fn the_oldest_figures_give_way_first_and_the_reader_is_told() {
        let mut queue = Queue::default();
        let large = |letter: u8| vec![letter; MAX_WAITING / 4];
        queue.push(large(b'a'), false);
        queue.push(large(b'b'), true);
        queue.push(large(b'c'), false);
        queue.push(large(b'd'), true);
        queue.push(large(b'e'), false);
        queue.push(large(b'f'), false);
        assert_eq!(queue.octets(), MAX_WAITING);
        queue.push(b"figures".to_vec(), true);
        queue.push(large(b'g'), false);
        assert_eq!(queue.dropped, 4);
        assert_eq!(text(queue.pop()), r#"{"type":"x_dropped","count":4}"#);
        let rest: Vec<u8> = std::iter::from_fn(|| queue.pop()).map(|record| record[0]).collect();
        assert_eq!(rest, *b"cefg");
        assert!(queue.is_empty() && queue.octets() == 0);
    }

    #[test]
    fn the_length_counts_the_newline_of_the_body() {
        let (mut framed, mut lines) = (Vec::new(), Vec::new());
        frame(&mut framed, br#"{"type":"x"}"#, Format::Legacy);
        frame(&mut lines, br#"{"type":"x"}"#, Format::Lines);
        assert_eq!(framed, b"{\"length\": 13}\n{\"type\":\"x\"}\n");
        assert_eq!(lines, b"{\"type\":\"x\"}\n");
    }
}
