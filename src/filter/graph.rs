//! A condition as a graph of tests, each with a way on if it holds and one if not.
//!
//! Ways that earlier tests have decided are short-cut, and tests that are followed by the same
//! are merged. A test is left out where it was made before on every way to it, or where it decides
//! nothing; alternatives that look at one value are brought together. Only frames that end before
//! a header is complete can tell, by a load that is made earlier or not at all.

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
            let mut changed = graph.short_cut();
            graph.merge()?;
            changed |= graph.gather();
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

    /// In a chain of alternatives (or of conditions that must all hold), puts tests of the same
    /// value next to each other, so that it is loaded once.
    fn gather(&mut self) -> bool {
        let mut ways_in = vec![0_usize; self.blocks.len()];
        let nexts = self.blocks.iter().flat_map(|block| [block.yes, block.no]);
        for next in nexts.chain([self.root]) {
            if let Next::Block(at) = next
                && let Some(count) = ways_in.get_mut(at)
            {
                *count = count.saturating_add(1);
            }
        }
        let mut changed = false;
        let mut done = vec![false; self.blocks.len()];
        for start in (0..self.blocks.len()).rev() {
            if done.get(start).copied().unwrap_or(true) {
                continue;
            }
            for along in [false, true] {
                let chain = self.chain(start, along, &ways_in);
                let tests: Vec<Test> =
                    chain.iter().filter_map(|at| Some(self.blocks.get(*at)?.test)).collect();
                let mut firsts: Vec<Id> = Vec::new();
                for test in &tests {
                    if !firsts.contains(&test.left) {
                        firsts.push(test.left);
                    }
                }
                if chain.len() < 3 || firsts.len() == 1 || firsts.len() == chain.len() {
                    continue;
                }
                let mut sorted = tests.clone();
                sorted.sort_by_key(|test| firsts.iter().position(|left| *left == test.left));
                for (at, test) in chain.iter().zip(&sorted) {
                    if let (Some(block), Some(done)) = (self.blocks.get_mut(*at), done.get_mut(*at))
                    {
                        block.test = *test;
                        *done = true;
                    }
                }
                changed |= sorted != tests;
            }
        }
        changed
    }

    /// The blocks from one on that follow each other on one way, alone, and share the other.
    fn chain(&self, start: usize, along: bool, ways_in: &[usize]) -> Vec<usize> {
        let mut chain = vec![start];
        let sides = |at: usize| {
            let block = self.blocks.get(at)?;
            Some(if along { (block.yes, block.no) } else { (block.no, block.yes) })
        };
        let Some((mut on, off)) = sides(start) else { return chain };
        while let Next::Block(at) = on
            && ways_in.get(at) == Some(&1)
            && let Some((next, other)) = sides(at)
            && other == off
        {
            chain.push(at);
            on = next;
        }
        chain
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

/// Which numbers a value can be.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Range {
    /// These alone, if there are any here.
    among: Vec<u32>,
    low: u32,
    high: u32,
    /// None of these.
    not: Vec<u32>,
}

impl Facts {
    fn learn(&mut self, values: &Values, test: Test, holds: bool) {
        let number = values.constant(test.right);
        // What a range says need not be kept twice.
        if number.is_none() || test.compare == op::JSET {
            remember(&mut self.tests, (test, holds));
        }
        let Some(number) = number else { return };
        let at = self.ranges.iter().position(|(id, _)| *id == test.left);
        let (id, mut range) = match at {
            Some(at) => self.ranges.remove(at),
            None => (test.left, Range::ANY),
        };
        range.among.retain(|value| compare(test.compare, *value, number) == holds);
        match (test.compare, holds) {
            (op::JEQ, true) => {
                (range.low, range.high) = (number, number);
                range.among = vec![number];
            }
            (op::JEQ, false) => remember(&mut range.not, number),
            (op::JGT | op::JGE, true) => {
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
            return Some(compare(test.compare, value, number));
        }
        let range = self.range(test.left)?;
        let mut outcomes = range.among.iter().map(|value| compare(test.compare, *value, number));
        if let Some(first) = outcomes.next() {
            return outcomes.all(|outcome| outcome == first).then_some(first);
        }
        match test.compare {
            op::JEQ => range.excludes(number).then_some(false),
            op::JGT if range.low > number => Some(true),
            op::JGT if range.high <= number => Some(false),
            op::JGE if range.low >= number => Some(true),
            op::JGE if range.high < number => Some(false),
            _ => None,
        }
    }

    /// A value that is fully known, or follows from one that is.
    fn exact(&self, values: &Values, id: Id) -> Option<u32> {
        if let Some([value]) = self.range(id).map(|range| range.among.as_slice()) {
            return Some(*value);
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
            if theirs.among.is_empty() || mine.among.is_empty() {
                range.among.clear();
            } else {
                range.among.extend(theirs.among.iter().filter(|v| !mine.among.contains(v)));
                if range.among.len() > MAX_FACTS {
                    range.among.clear();
                }
            }
            true
        });
    }
}

impl Range {
    const ANY: Self = Self { among: Vec::new(), low: 0, high: u32::MAX, not: Vec::new() };

    fn excludes(&self, number: u32) -> bool {
        number < self.low
            || number > self.high
            || self.not.contains(&number)
            || !self.among.is_empty() && !self.among.contains(&number)
    }
}

fn compare(operation: u16, value: u32, number: u32) -> bool {
    match operation {
        op::JEQ => value == number,
        op::JGT => value > number,
        op::JGE => value >= number,
        _ => value & number != 0,
    }
}

fn remember<T>(list: &mut Vec<T>, fact: T) {
    if list.len() >= MAX_FACTS {
        list.remove(0);
    }
    list.push(fact);
}
