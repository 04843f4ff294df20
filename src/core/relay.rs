//! Requests that are handed on to another HTTP server, the discovery service that the settings
//! name. A front-end writes them and waits for what comes back; `io` has the connections.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

/// Requests that wait for a connection; further ones are refused.
const MAX_WAITING: usize = 32;

/// What became of a request: what came back, octet by octet, or why nothing did.
pub type Outcome = Result<Vec<u8>, String>;

/// A request on its way, as long as somebody waits for it.
#[derive(Clone, Debug)]
pub struct Ticket(Rc<RefCell<Option<Outcome>>>);

impl Ticket {
    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// What became of it, once.
    #[must_use]
    pub fn take(&self) -> Option<Outcome> {
        self.0.borrow_mut().take()
    }

    /// Says what became of it.
    pub fn finish(&self, outcome: Outcome) {
        *self.0.borrow_mut() = Some(outcome);
    }

    /// Whether nobody waits for it any more.
    #[must_use]
    pub fn is_forsaken(&self) -> bool {
        Rc::strong_count(&self.0) < 2
    }
}

/// A request to hand on.
#[derive(Debug)]
pub struct Handed {
    /// Where to.
    pub address: SocketAddr,
    /// All of it.
    pub request: Vec<u8>,
    /// Who waits.
    pub ticket: Ticket,
}

/// The requests that no connection was made for yet.
#[derive(Debug, Default)]
pub struct Relay {
    waiting: VecDeque<Handed>,
}

impl Relay {
    /// Hands a request on; `None` if too many wait already.
    pub fn ask(&mut self, address: SocketAddr, request: Vec<u8>) -> Option<Ticket> {
        self.waiting.retain(|handed| !handed.ticket.is_forsaken());
        if self.waiting.len() >= MAX_WAITING {
            return None;
        }
        let ticket = Ticket(Rc::default());
        self.waiting.push_back(Handed { address, request, ticket: ticket.clone() });
        Some(ticket)
    }

    /// The next one that somebody still waits for.
    pub fn take_next(&mut self) -> Option<Handed> {
        self.waiting.retain(|handed| !handed.ticket.is_forsaken());
        self.waiting.pop_front()
    }

    /// Whether any waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
