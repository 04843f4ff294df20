//! Work in slices: what a step still has to do, and what it may look at until the next turn.

use std::rc::Rc;
use std::vec::IntoIter;

use crate::capture;
use crate::topology::graph::{Graph, Slice};

use super::{Answer, Error, MAX_RESULTS};

/// What a step works on.
pub(super) struct Scope<'a> {
    /// The graph of now with its past.
    pub live: &'a Graph,
    /// The graph that is asked: that of now, of then, or a part of it.
    pub graph: &'a Graph,
    pub flows: &'a capture::Store,
    /// The stretch of the past that is asked.
    pub slice: Option<Slice>,
    pub budget: &'a mut Budget,
    /// The step, for errors.
    pub at: usize,
    pub name: &'static str,
}

/// Visits that are left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Until the next turn.
    pub turn: usize,
    /// For the whole query.
    pub whole: usize,
}

/// What a step makes, and the next one starts from.
#[derive(Debug)]
pub(super) enum Data {
    Answer(Answer),
    /// The graph that is asked, as a whole.
    Graph,
    /// A graph that is to be asked from now on.
    Part(Rc<Graph>),
}

impl From<Answer> for Data {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

/// A step at work.
pub(super) trait Task {
    /// Goes on until the turn's visits are used up; what it made, once it is done.
    fn run(&mut self, scope: &mut Scope<'_>) -> Result<Option<Data>, Error>;
}

impl Scope<'_> {
    /// Whether there is something left for this turn.
    pub(super) const fn may(&self) -> bool {
        self.budget.turn > 0
    }

    /// Uses up visits.
    pub(super) fn spend(&mut self, visits: usize) -> Result<(), Error> {
        self.budget.turn = self.budget.turn.saturating_sub(visits);
        match self.budget.whole.checked_sub(visits) {
            Some(left) => {
                self.budget.whole = left;
                Ok(())
            }
            None => Err(Error::budget(
                self.at,
                format!("Too much work for one query, given up in step '{}'", self.name),
            )),
        }
    }

    /// Refuses what has become too many.
    pub(super) fn check(&self, results: usize) -> Result<(), Error> {
        if results <= MAX_RESULTS {
            return Ok(());
        }
        let message = format!("More than {MAX_RESULTS} elements in step '{}'", self.name);
        Err(Error::budget(self.at, message))
    }

    pub(super) fn fail(&self, message: impl Into<String>) -> Error {
        Error::execution(self.at, message)
    }
}

/// Makes of each item any number of others.
pub(super) struct Each<I, O, F> {
    input: IntoIter<I>,
    output: Vec<O>,
    /// Enough: whoever comes next takes no more.
    most: usize,
    each: F,
    wrap: fn(Vec<O>) -> Answer,
}

impl<I, O, F> Each<I, O, F>
where
    F: FnMut(I, &mut Scope<'_>, &mut Vec<O>) -> Result<(), Error>,
{
    pub(super) fn new(input: Vec<I>, most: usize, wrap: fn(Vec<O>) -> Answer, each: F) -> Self {
        Self { input: input.into_iter(), output: Vec::new(), most, each, wrap }
    }
}

impl<I, O, F> Task for Each<I, O, F>
where
    F: FnMut(I, &mut Scope<'_>, &mut Vec<O>) -> Result<(), Error>,
{
    fn run(&mut self, scope: &mut Scope<'_>) -> Result<Option<Data>, Error> {
        while self.output.len() < self.most {
            if !scope.may() {
                return Ok(None);
            }
            let Some(item) = self.input.next() else { break };
            scope.spend(1)?;
            (self.each)(item, scope, &mut self.output)?;
            scope.check(self.output.len())?;
        }
        self.output.truncate(self.most);
        Ok(Some((self.wrap)(std::mem::take(&mut self.output)).into()))
    }
}

/// Makes of all items one thing.
pub(super) struct Fold<I, S, F> {
    input: IntoIter<I>,
    state: Option<S>,
    each: F,
    finish: fn(S, &mut Scope<'_>) -> Result<Data, Error>,
}

impl<I, S, F> Fold<I, S, F>
where
    F: FnMut(&mut S, I, &mut Scope<'_>) -> Result<(), Error>,
{
    pub(super) fn new(
        input: Vec<I>,
        state: S,
        finish: fn(S, &mut Scope<'_>) -> Result<Data, Error>,
        each: F,
    ) -> Self {
        Self { input: input.into_iter(), state: Some(state), each, finish }
    }
}

impl<I, S, F> Task for Fold<I, S, F>
where
    F: FnMut(&mut S, I, &mut Scope<'_>) -> Result<(), Error>,
{
    fn run(&mut self, scope: &mut Scope<'_>) -> Result<Option<Data>, Error> {
        let Some(state) = &mut self.state else { return Ok(None) };
        while scope.may() {
            let Some(item) = self.input.next() else {
                let state = self.state.take();
                return state.map(|state| (self.finish)(state, scope)).transpose();
            };
            scope.spend(1)?;
            (self.each)(state, item, scope)?;
        }
        Ok(None)
    }
}

/// What is there already.
pub(super) struct Ready(pub Option<Data>);

impl Task for Ready {
    fn run(&mut self, _: &mut Scope<'_>) -> Result<Option<Data>, Error> {
        Ok(self.0.take())
    }
}
