//! Who wants to know which namespaces, processes and containers there are. A front-end
//! [asks](Discovery::ask) and waits; `io` looks, once for all who asked before it began, so that
//! what anybody is told is never older than the question.

use std::cell::RefCell;
use std::rc::Rc;

use crate::netns::{Depth, Machine};

/// A question, as long as somebody waits for the answer or reads it.
#[derive(Clone, Debug)]
pub struct Ticket(Rc<RefCell<Option<Rc<Machine>>>>);

impl Ticket {
    /// The answer, once it is there.
    #[must_use]
    pub fn answer(&self) -> Option<Rc<Machine>> {
        self.0.borrow().clone()
    }
}

/// Questions about the machine.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Those that no look has begun for, and how much they want to know.
    waiting: Option<(Ticket, Depth)>,
    /// Those that are looked for now.
    under_way: Option<Ticket>,
    /// An answer came since this was last asked.
    fresh: bool,
}

impl Discovery {
    /// Asks for a look at the machine as it is from now on.
    pub fn ask(&mut self, depth: Depth) -> Ticket {
        let none = || (Ticket(Rc::default()), depth);
        let (ticket, deepest) = self.waiting.get_or_insert_with(none);
        *deepest = depth.max(*deepest);
        ticket.clone()
    }

    /// How much is to be looked for, if a look is to begin now.
    pub fn begin(&mut self) -> Option<Depth> {
        if self.under_way.is_some() {
            return None;
        }
        let (ticket, depth) = self.waiting.take()?;
        // Whoever asked may be gone by now.
        if Rc::strong_count(&ticket.0) < 2 {
            return None;
        }
        self.under_way = Some(ticket);
        Some(depth)
    }

    /// Whether there is something to begin or to go on with.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.waiting.is_some() || self.under_way.is_some()
    }

    /// Whether nobody waits any more for what is looked for now.
    #[must_use]
    pub fn is_forsaken(&self) -> bool {
        self.under_way.as_ref().is_some_and(|ticket| Rc::strong_count(&ticket.0) < 2)
    }

    /// The look is over; without a machine it was broken off.
    pub fn finish(&mut self, machine: Option<Machine>) {
        if let Some(ticket) = self.under_way.take()
            && let Some(machine) = machine
        {
            *ticket.0.borrow_mut() = Some(Rc::new(machine));
            self.fresh = true;
        }
    }

    /// Something else that a front-end waits for has come.
    pub const fn set_fresh(&mut self) {
        self.fresh = true;
    }

    /// Whether an answer has come since this was last asked.
    pub const fn take_fresh(&mut self) -> bool {
        std::mem::replace(&mut self.fresh, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_during_a_look_is_answered_by_the_next_one() {
        let mut discovery = Discovery::default();
        let (first, second) = (discovery.ask(Depth::Targets), discovery.ask(Depth::All));
        assert_eq!(discovery.begin(), Some(Depth::All));
        let late = discovery.ask(Depth::Names);
        assert_eq!(discovery.begin(), None);
        discovery.finish(Some(Machine::default()));
        assert!(first.answer().is_some() && second.answer().is_some() && late.answer().is_none());
        assert!(discovery.take_fresh() && !discovery.take_fresh());
        assert_eq!(discovery.begin(), Some(Depth::Names));
        assert!(!discovery.is_forsaken());
        drop(late);
        assert!(discovery.is_forsaken());
    }

    #[test]
    fn nothing_is_looked_for_that_nobody_waits_for() {
        let mut discovery = Discovery::default();
        drop(discovery.ask(Depth::All));
        assert_eq!(discovery.begin(), None);
        assert!(!discovery.is_busy());
    }
}
