//! Skydive's dialect of Gremlin over the graph and the flows of captures: text becomes a list of
//! steps, the steps an answer, the answer JSON.
//!
//! Nothing here is done at one go: [`Run::advance`] looks at a bounded number of elements a call
//! and [`Run::write`] writes a bounded piece of the answer, so that no question holds up the loop.

use std::rc::Rc;

use crate::capture;
use crate::time::Clock;
use crate::topology::graph::Graph;

mod answer;
mod collect;
mod dot;
mod error;
mod flows;
mod lex;
mod metrics;
mod moment;
mod parse;
mod part;
mod pcap;
mod predicate;
mod route;
mod run;
mod step;
mod subject;
mod task;
mod walk;
mod write;

pub use answer::{Answer, MetricsOf, Owner, PacketsOf};
pub use error::{Error, Kind};
pub use flows::CAPTURABLE;
pub use moment::duration;
pub use parse::{MAX_DEPTH, MAX_STEPS};
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
    text: Rc<str>,
    steps: Rc<[step::Step]>,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// [`Kind::Syntax`] if it is no query, [`Kind::Execution`] if it can never have an answer.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self { steps: parse::query(text)?.into(), text: text.into() })
    }

    /// Whether it asks for captured packets, payload and all: that needs more than the right to
    /// look at flows.
    #[must_use]
    pub fn wants_packets(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.what, step::What::RawPackets))
    }

    /// The query as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}
