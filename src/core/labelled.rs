//! A flow with what is known of it, as it is told: it owns all it says and outlives the flow.

use crate::detect::Outcome;
use crate::flow::Record;

/// A flow and what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// Who, when and how much.
    pub record: Record,
    /// With what.
    pub what: Outcome,
}
