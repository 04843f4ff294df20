//! Skydive's dialect of Gremlin over the graph and the flows of captures: text becomes a list of
//! steps, the steps an answer, the answer JSON.
//!
//! Nothing here is done at one go: [`Run::advance`] looks at a bounded number of elements a call
//! and [`Run::write`] writes a bounded piece of the answer, so that no question holds up the loop.

use crate::capture;
use crate::time::Clock;
use crate::topology::graph::Graph;

mod answer;
mod error;
mod run;

pub use answer::{Answer, MetricsOf, Owner, PacketsOf};
pub use error::{Error, Kind};
pub use run::{Run, evaluate};

/// The longest query in octets.
pub const MAX_TEXT: usize = 4_096;

/// Elements that one query may look at before it is given up.
pub const MAX_VISITS: usize = 1_000_000;

/// Elements of a result, of one on the way to it too; a query that gives more is refused.
pub const MAX_RESULTS: usize = 65_536;

/// What a query is about.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// Nodes and edges, their past included.
    pub graph: &'a Graph,
    /// Flows of captures.
    pub flows: &'a capture::Store,
    /// What `NOW` means.
    pub now: Clock,
}

/// A query that was understood.
#[derive(Clone, Debug)]
pub struct Query {
    text: std::rc::Rc<str>,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// [`Kind::Syntax`]: it is no query, or one that can never have an answer.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self { text: text.into() })
    }

    /// The query as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
