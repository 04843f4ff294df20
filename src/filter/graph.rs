//! A condition as a graph of tests, each with a way on if it holds and one if not.
//!
//! Ways that earlier tests have decided are short-cut, and tests that are followed by the same
//! are merged. A test is only ever left out where it was made before on every way to it, so that
//! no load beyond the end of a frame is added or lost.

use std::collections::HashMap;

use super::Problem;
use super::bpf::op;
use super::value::{Condition, Conditions, Entry, Id, Test, Value, Values};
use super::vm::calculate;

/// The most tests while the graph is made, before it is simplified.
const MAX_BLOCKS: usize = 16_384;

/// How often simplifying is repeated while it helps.
const MAX_PASSES: usize = 6;

/// Values, and facts about each, that are kept in mind; the oldest are forgotten.
const MAX_FACTS: usize = 24;

/// Tests in an order in which ways on only lead down.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) values: Values,
    pub(super) blocks: Vec<Block>,
    pub(super) root: Next,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Block {
    pub(super) test: Test,
    pub(super) yes: Next,
    pub(super) no: Next,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Next {
    Accept,
    Block(usize),
    Reject,
}

impl Graph {
    pub(super) fn new(
        values: Values,
        conditions: &Conditions,
        root: Condition,
    ) -> Result<Self, Problem> {
        let mut builder = Builder::default();
        let root = builder.build(conditions, root, Next::Accept, Next::Reject)?;
        let mut graph = Self { values, blocks: builder.blocks, root };
        for _ in 0..MAX_PASSES {
            let before = (graph.blocks.len(), graph.root);
            let changed = graph.short_cut();
            graph.merge()?;
            if !changed && before == (graph.blocks.len(), graph.root) {
                break;
            }
        }
        Ok(graph)
    }

    /// Leads every way past tests whose outcome is known on it.
    fn short_cut(&mut self) -> bool {
        let mut changed = false;
        let mut known: Vec<Option<Facts>> = vec![None; self.blocks.len()];
        let mut root = self.root;
        self.lead(&mut root, Facts::default(), &mut known);
        self.root = root;
        for at in (0..self.blocks.len()).rev() {
            let (Some(mut block), Some(facts)) =
                (self.blocks.get(at).copied(), known.get_mut(at).and_then(Option::take))
            else {
                continue;
            };
            let old = block;
            let mut with = facts.clone();
            with.learn(&self.values, block.test, true);
            self.lead(&mut block.yes, with, &mut known);
            let mut without = facts;
            without.learn(&self.values, block.test, false);
            self.lead(&mut block.no, without, &mut known);
            if block != old {
                changed = true;
                if let Some(place) = self.blocks.get_mut(at) {
                    *place = block;
                }
            }
        }
        changed
    }

    fn lead(&self, next: &mut Next, facts: Facts, known: &mut [Option<Facts>]) {
        while let Next::Block(at) = *next
            && let Some(block) = self.blocks.get(at)
        {
            match facts.decides(&self.values, block.test) {
                Some(true) => *next = block.yes,
                Some(false) => *next = block.no,
                None => {
                    if let Some(place) = known.get_mut(at) {
                        match place {
                            Some(others) => others.meet(&facts),
                            None => *place = Some(facts),
                        }
                    }
                    return;
                }
            }
        }
    }

    /// Drops what cannot be reached, and keeps one of each kind.
    fn merge(&mut self) -> Result<(), Problem> {
        let mut reached = vec![false; self.blocks.len()];
        let mark = |reached: &mut [bool], next| {
            if let Next::Block(at) = next
                && let Some(place) = reached.get_mut(at)
            {
                *place = true;
            }
        };
        mark(&mut reached, self.root);
        // Ways lead down, so one look from the top finds all.
        for (at, block) in self.blocks.iter().enumerate().rev() {
            if reached.get(at).copied().unwrap_or(false) {
                mark(&mut reached, block.yes);
                mark(&mut reached, block.no);
            }
        }
        let mut builder = Builder::default();
        let mut moved: Vec<Next> = Vec::with_capacity(self.blocks.len());
        let to = |moved: &[Next], next| match next {
            Next::Block(at) => moved.get(at).copied().unwrap_or(Next::Reject),
            other => other,
        };
        for (block, is_reached) in self.blocks.iter().zip(&reached) {
            moved.push(if *is_reached {
                builder.add(Block {
                    test: block.test,
                    yes: to(&moved, block.yes),
                    no: to(&moved, block.no),
                })?
            } else {
                Next::Reject
            });
        }
        self.root = to(&moved, self.root);
        self.blocks = builder.blocks;
        Ok(())
    }
}

#[derive(Default)]
struct Builder {
    blocks: Vec<Block>,
    places: HashMap<Block, usize>,
}

impl Builder {
    /// The graph of a condition, from its end. Recurs where the right side is not a single
    /// test, as deep as parentheses nest.
    fn build(
        &mut self,
        conditions: &Conditions,
        mut condition: Condition,
        mut yes: Next,
        mut no: Next,
    ) -> Result<Next, Problem> {
        loop {
            let (place, negated) = match condition {
                Condition::Always => return Ok(yes),
                Condition::Never => return Ok(no),
                Condition::Of { place, negated } => (place, negated),
            };
            if negated {
                (yes, no) = (no, yes);
            }
            match conditions.get(place) {
                Some(Entry::And(left, right)) => {
                    yes = self.build(conditions, right, yes, no)?;
                    condition = left;
                }
                Some(Entry::Or(left, right)) => {
                    no = self.build(conditions, right, yes, no)?;
                    condition = left;
                }
                Some(Entry::Test(test)) => return self.add(Block { test, yes, no }),
                None => return Ok(no),
            }
        }
    }

    fn add(&mut self, block: Block) -> Result<Next, Problem> {
        if block.yes == block.no {
            return Ok(block.yes);
        }
        if let Some(at) = self.places.get(&block) {
            return Ok(Next::Block(*at));
        }
        let at = self.blocks.len();
        if at == MAX_BLOCKS {
            return Err(Problem::TooMuch);
        }
        self.blocks.push(block);
        self.places.insert(block, at);
        Ok(Next::Block(at))
    }
}

/// What the tests on the way to a place have shown.
#[derive(Clone, Debug, Default)]
struct Facts {
    ranges: Vec<(Id, Range)>,
    tests: Vec<(Test, bool)>,
}

/// Where a value lies.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Range {
    low: u32,
    high: u32,
    not: Vec<u32>,
}

impl Facts {
    fn learn(&mut self, values: &Values, test: Test, holds: bool) {
        remember(&mut self.tests, (test, holds));
        let Some(number) = values.constant(test.right) else { return };
        let at = self.ranges.iter().position(|(id, _)| *id == test.left);
        let (id, mut range) = match at {
            Some(at) => self.ranges.remove(at),
            None => (test.left, Range { low: 0, high: u32::MAX, not: Vec::new() }),
        };
        match (test.compare, holds) {
            (op::JEQ, true) => (range.low, range.high) = (number, number),
            (op::JEQ, false) => remember(&mut range.not, number),
            (op::JGT, true) | (op::JGE, true) => {
                let least = number.saturating_add(u32::from(test.compare == op::JGT));
                range.low = range.low.max(least);
            }
            (op::JGT, false) => range.high = range.high.min(number),
            (op::JGE, false) => range.high = range.high.min(number.saturating_sub(1)),
            _ => {}
        }
        remember(&mut self.ranges, (id, range));
    }

    fn decides(&self, values: &Values, test: Test) -> Option<bool> {
        if let Some((_, holds)) = self.tests.iter().find(|(known, _)| *known == test) {
            return Some(*holds);
        }
        let number = values.constant(test.right)?;
        if let Some(value) = self.exact(values, test.left) {
            return Some(match test.compare {
                op::JEQ => value == number,
                op::JGT => value > number,
                op::JGE => value >= number,
                _ => value & number != 0,
            });
        }
        let range = self.range(test.left)?;
        match test.compare {
            op::JEQ => {
                let out = number < range.low || number > range.high || range.not.contains(&number);
                out.then_some(false)
            }
            op::JGT if range.low > number => Some(true),
            op::JGT if range.high <= number => Some(false),
            op::JGE if range.low >= number => Some(true),
            op::JGE if range.high < number => Some(false),
            _ => None,
        }
    }

    /// A value that is fully known, or follows from one that is.
    fn exact(&self, values: &Values, id: Id) -> Option<u32> {
        if let Some(range) = self.range(id).filter(|range| range.low == range.high) {
            return Some(range.low);
        }
        match values.get(id) {
            Value::Operation { operation, left, right } => {
                calculate(operation, self.exact(values, left)?, values.constant(right)?)
            }
            _ => None,
        }
    }

    fn range(&self, id: Id) -> Option<&Range> {
        self.ranges.iter().find(|(known, _)| *known == id).map(|(_, range)| range)
    }

    /// Keeps what holds on another way as well.
    fn meet(&mut self, other: &Self) {
        self.tests.retain(|test| other.tests.contains(test));
        self.ranges.retain_mut(|(id, range)| {
            let Some(theirs) = other.range(*id) else { return false };
            let mine = range.clone();
            range.not.retain(|number| theirs.excludes(*number));
            for number in &theirs.not {
                if mine.excludes(*number) && !range.not.contains(number) {
                    remember(&mut range.not, *number);
                }
            }
            range.low = range.low.min(theirs.low);
            range.high = range.high.max(theirs.high);
            true
        });
    }
}

impl Range {
    fn excludes(&self, number: u32) -> bool {
        number < self.low || number > self.high || self.not.contains(&number)
    }
}

fn remember<T>(list: &mut Vec<T>, fact: T) {
    if list.len() >= MAX_FACTS {
        list.remove(0);
    }
    list.push(fact);
}
