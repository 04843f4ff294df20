//! What filters compute: values out of a frame, tests of them, and conditions made of tests.
//!
//! Equal values have equal ids, so that later stages see at a glance what is loaded already.

use std::collections::HashMap;

use super::ast::Size;
use super::bpf::op;
use super::vm::calculate;
use super::{MAX_DEPTH, Problem};

/// The place of a value in [`Values`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Id(u32);

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Value {
    Const(u32),
    /// Four times the low half of an octet: the length of an IPv4 header.
    HeaderLen(u32),
    /// A load at an offset from another value.
    Indexed {
        size: Size,
        index: Id,
        at: u32,
    },
    Length,
    Load {
        size: Size,
        at: u32,
    },
    Negate(Id),
    Operation {
        operation: u16,
        left: Id,
        right: Id,
    },
}

/// A comparison as classic BPF has it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Test {
    /// `JEQ`, `JGT`, `JGE` or `JSET`.
    pub(super) compare: u16,
    pub(super) left: Id,
    pub(super) right: Id,
}

/// Values without repetition.
#[derive(Debug, Default)]
pub(super) struct Values {
    list: Vec<(Value, u8)>,
    places: HashMap<Value, Id>,
}

impl Values {
    /// The value itself; one that is not there is a constant that nothing uses.
    pub(super) fn get(&self, id: Id) -> Value {
        self.entry(id).0
    }

    pub(super) fn constant(&self, id: Id) -> Option<u32> {
        match self.get(id) {
            Value::Const(number) => Some(number),
            _ => None,
        }
    }

    /// Takes a value up. Those nested too deep are refused, which bounds later recursion.
    pub(super) fn add(&mut self, value: Value) -> Result<Id, Problem> {
        if let Some(id) = self.places.get(&value) {
            return Ok(*id);
        }
        let depth = match value {
            Value::Const(_) | Value::HeaderLen(_) | Value::Length | Value::Load { .. } => 0,
            Value::Indexed { index: inner, .. } | Value::Negate(inner) => self.entry(inner).1,
            Value::Operation { left, right, .. } => self.entry(left).1.max(self.entry(right).1),
        };
        let depth = depth.saturating_add(1);
        if usize::from(depth) > MAX_DEPTH {
            return Err(Problem::TooDeep);
        }
        let id = Id(u32::try_from(self.list.len()).map_err(|_| Problem::TooMuch)?);
        self.list.push((value, depth));
        self.places.insert(value, id);
        Ok(id)
    }

    /// A calculation, done at once if both sides are known.
    pub(super) fn operation(&mut self, operation: u16, left: Id, right: Id) -> Result<Id, Problem> {
        let known = self.constant(right);
        match (operation, known) {
            (op::DIV | op::MOD, Some(0)) => return Err(Problem::Refused("a division by zero")),
            (op::LSH | op::RSH, Some(32..)) => {
                return Err(Problem::Refused("a shift by more than 31 bits"));
            }
            (op::ADD | op::SUB | op::OR | op::XOR | op::LSH | op::RSH, Some(0))
            | (op::MUL | op::DIV, Some(1))
            | (op::AND, Some(u32::MAX)) => return Ok(left),
            _ => {}
        }
        if let (Some(a), Some(b)) = (self.constant(left), known)
            && let Some(result) = calculate(operation, a, b)
        {
            return self.add(Value::Const(result));
        }
        // Constants belong on the right, where an instruction holds them.
        let swaps = matches!(operation, op::ADD | op::MUL | op::AND | op::OR | op::XOR);
        if swaps && self.constant(left).is_some() {
            return self.operation(operation, right, left);
        }
        self.add(Value::Operation { operation, left, right })
    }

    fn entry(&self, id: Id) -> (Value, u8) {
        let place = usize::try_from(id.0).unwrap_or(usize::MAX);
        self.list.get(place).copied().unwrap_or((Value::Const(0), 0))
    }
}

/// The place of a condition in [`Conditions`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Condition {
    Always,
    Never,
    /// An entry of the list, which may be negated.
    Of {
        place: usize,
        negated: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Entry {
    And(Condition, Condition),
    Or(Condition, Condition),
    Test(Test),
}

#[derive(Debug, Default)]
pub(super) struct Conditions {
    list: Vec<Entry>,
}

impl Conditions {
    pub(super) fn get(&self, place: usize) -> Option<Entry> {
        self.list.get(place).copied()
    }

    pub(super) fn and(&mut self, left: Condition, right: Condition) -> Condition {
        match (left, right) {
            (Condition::Never, _) => Condition::Never,
            (Condition::Always, other) | (other, Condition::Always) => other,
            _ => self.add(Entry::And(left, right)),
        }
    }

    pub(super) fn or(&mut self, left: Condition, right: Condition) -> Condition {
        match (left, right) {
            (Condition::Always, _) => Condition::Always,
            (Condition::Never, other) | (other, Condition::Never) => other,
            _ => self.add(Entry::Or(left, right)),
        }
    }

    pub(super) fn test(&mut self, test: Test) -> Condition {
        self.add(Entry::Test(test))
    }

    fn add(&mut self, entry: Entry) -> Condition {
        self.list.push(entry);
        Condition::Of { place: self.list.len().saturating_sub(1), negated: false }
    }
}

impl Condition {
    pub(super) const fn not(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Of { place, negated } => Self::Of { place, negated: !negated },
        }
    }
}
