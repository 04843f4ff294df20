//! A query at work.

use super::{Answer, Error, Query, World};

/// An evaluation under way; afterwards its answer being written.
#[derive(Debug)]
pub struct Run {
    query: Query,
    answer: Option<Answer>,
}

impl Run {
    /// Begins with a query.
    #[must_use]
    pub const fn new(query: Query) -> Self {
        Self { query, answer: None }
    }

    /// The query.
    #[must_use]
    pub const fn query(&self) -> &Query {
        &self.query
    }

    /// Looks at about `visits` elements more; `true` once the answer is ready.
    ///
    /// # Errors
    /// Why there will be no answer.
    pub fn advance(&mut self, world: &World<'_>, visits: usize) -> Result<bool, Error> {
        let _ = (world, visits);
        self.answer = Some(Answer::Values(Vec::new()));
        Ok(true)
    }

    /// The answer, once it is ready.
    #[must_use]
    pub const fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }

    /// Whether the answer is a graph, which [`Self::write_dot`] can draw.
    #[must_use]
    pub const fn is_graph(&self) -> bool {
        matches!(self.answer, Some(Answer::Graph { .. }))
    }

    /// Whether the answer is packets, which [`Self::write_pcap`] can save.
    #[must_use]
    pub const fn is_packets(&self) -> bool {
        matches!(self.answer, Some(Answer::Packets(_)))
    }

    /// Appends the next piece of the answer as JSON: at least one item and about `most` octets;
    /// `true` while there is more.
    pub fn write(&mut self, world: &World<'_>, out: &mut Vec<u8>, most: usize) -> bool {
        let _ = (world, most);
        out.extend_from_slice(b"[]");
        false
    }

    /// Appends the next piece of a graph in the language of Graphviz; `true` while there is more.
    pub fn write_dot(&mut self, out: &mut Vec<u8>, most: usize) -> bool {
        let _ = (out, most);
        false
    }

    /// Appends the next piece of packets as a capture file; `true` while there is more.
    pub fn write_pcap(&mut self, world: &World<'_>, out: &mut Vec<u8>, most: usize) -> bool {
        let _ = (world, out, most);
        false
    }
}

/// Runs a query to its end at once, with at most `visits` looks at elements: for captures, rules
/// and alerts, which need the nodes now.
///
/// # Errors
/// Why there is no answer.
pub fn evaluate(query: &Query, world: &World<'_>, visits: usize) -> Result<Answer, Error> {
    let mut run = Run::new(query.clone());
    run.advance(world, visits)?;
    run.answer.take().ok_or_else(|| Error::budget(0, "too much work"))
}
