//! Subscriptions as commands give them: topics, and the flows that are wanted.

use crate::flow::filter::Query;

use super::Agent;
use super::bus::{Subscription, Topics};
use super::command::Failure;
use super::select::Selection;

impl Agent {
    /// Subscribes to `topics`; of the flow events only those of flows that `selection` wants.
    ///
    /// # Errors
    /// [`Failure::Limit`] when there are too many subscribers.
    pub fn subscribe(
        &mut self,
        topics: Topics,
        selection: &Selection,
    ) -> Result<Subscription, Failure> {
        let filter = (*selection != Selection::default()).then(Query::default);
        self.bus.subscribe(topics, filter).ok_or(Failure::Limit)
    }
}
