//! From a graph of tests to instructions: what must be loaded where, in which order the tests
//! stand, and jumps that are too far for one octet.

use std::collections::HashMap;

use super::ast::Size;
use super::bpf::{Instruction, MAX_INSTRUCTIONS, op};
use super::graph::{Block, Graph, Next};
use super::value::{Id, Value, Values};
use super::vm::MEMORY;
use super::{Error, Problem};

/// Writes the program. `accept` is the verdict on frames that match.
pub(super) fn emit(graph: &Graph, accept: u32) -> Result<Box<[Instruction]>, Error> {
    let whole = |problem| Error { at: 0, len: 0, problem };
    let order = order(graph);
    let codes = codes(graph, &order).map_err(whole)?;
    let mut program = Backwards {
        instructions: Vec::new(),
        blocks: vec![None; graph.blocks.len()],
        accept: None,
        reject: None,
        verdict: accept,
        same: vec![None; graph.blocks.len()],
        written: HashMap::new(),
    };
    if matches!(graph.root, Next::Accept | Next::Reject) {
        program.nearby(graph.root);
    }
    for (at, code) in order.iter().zip(codes).rev() {
        let Some(block) = graph.blocks.get(*at) else { continue };
        program.block(graph, *at, block, code);
        if program.instructions.len() > MAX_INSTRUCTIONS {
            return Err(whole(Problem::TooMuch));
        }
    }
    program.instructions.reverse();
    Ok(program.instructions.into())
}

/// The blocks that can be reached, each before those it leads to, and where possible right
/// before the one it leads to if its test holds.
fn order(graph: &Graph) -> Vec<usize> {
    let mut seen = vec![false; graph.blocks.len()];
    let mut done = Vec::with_capacity(graph.blocks.len());
    // A block is entered once and left once, after all that it leads to.
    let mut stack = vec![(graph.root, false)];
    while let Some((next, leave)) = stack.pop() {
        let Next::Block(at) = next else { continue };
        if leave {
            done.push(at);
            continue;
        }
        let (Some(block), Some(seen)) = (graph.blocks.get(at), seen.get_mut(at)) else { continue };
        if !std::mem::replace(seen, true) {
            stack.extend([(next, true), (block.yes, false), (block.no, false)]);
        }
    }
    done.reverse();
    done
}

/// What each block does before its jump, given what the registers hold on every way to it.
fn codes(graph: &Graph, order: &[usize]) -> Result<Vec<Vec<Instruction>>, Problem> {
    let mut entry: Vec<Option<Registers>> = vec![None; graph.blocks.len()];
    let mut codes = Vec::with_capacity(order.len());
    for at in order {
        let Some(block) = graph.blocks.get(*at) else { continue };
        let registers = entry.get(*at).copied().flatten().unwrap_or_default();
        let mut writer = Writer { values: &graph.values, registers, code: Vec::new(), cells: 0 };
        match graph.values.constant(block.test.right) {
            Some(_) => writer.load(block.test.left)?,
            None => writer.load_both(block.test.left, block.test.right)?,
        }
        codes.push(writer.code);
        for next in [block.yes, block.no] {
            if let Next::Block(next) = next
                && let Some(place) = entry.get_mut(next)
            {
                *place = Some(match place {
                    Some(others) => others.meet(writer.registers),
                    None => writer.registers,
                });
            }
        }
    }
    Ok(codes)
}

/// What the two registers hold, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
struct Registers {
    a: Option<Id>,
    x: Option<Id>,
}

impl Registers {
    fn meet(self, other: Self) -> Self {
        let same = |one: Option<Id>, other| one.filter(|one| Some(*one) == other);
        Self { a: same(self.a, other.a), x: same(self.x, other.x) }
    }
}

struct Writer<'a> {
    values: &'a Values,
    registers: Registers,
    code: Vec<Instruction>,
    /// Cells of scratch memory in use.
    cells: u32,
}

impl Writer<'_> {
    fn put(&mut self, code: u16, k: u32) {
        self.code.push(Instruction { code, jt: 0, jf: 0, k });
    }

    /// Brings a value into A.
    fn load(&mut self, id: Id) -> Result<(), Problem> {
        if self.registers.a == Some(id) {
            return Ok(());
        }
        match self.values.get(id) {
            Value::Const(number) => self.put(op::LD | op::IMM, number),
            Value::Length => self.put(op::LD | op::LEN, 0),
            Value::Load { size, at } => self.put(op::LD | op::ABS | width(size), at),
            Value::HeaderLen(_) => {
                self.load_x(id)?;
                self.put(op::TXA, 0);
            }
            Value::Indexed { size, index, at } => {
                self.load_x(index)?;
                self.put(op::LD | op::IND | width(size), at);
            }
            Value::Negate(inner) => {
                self.load(inner)?;
                self.put(op::ALU | op::NEG, 0);
            }
            Value::Operation { operation, left, right } => match self.values.constant(right) {
                Some(number) => {
                    self.load(left)?;
                    self.put(op::ALU | operation, number);
                }
                None => {
                    self.load_both(left, right)?;
                    self.put(op::ALU | op::X | operation, 0);
                }
            },
        }
        self.registers.a = Some(id);
        Ok(())
    }

    /// Brings a value into X. What A held may be lost.
    fn load_x(&mut self, id: Id) -> Result<(), Problem> {
        if self.registers.x == Some(id) {
            return Ok(());
        }
        match self.values.get(id) {
            Value::Const(number) => self.put(op::LDX | op::IMM, number),
            Value::Length => self.put(op::LDX | op::LEN, 0),
            Value::HeaderLen(at) => self.put(op::LDX | op::MSH | op::B, at),
            _ => {
                self.load(id)?;
                self.put(op::TAX, 0);
            }
        }
        self.registers.x = Some(id);
        Ok(())
    }

    /// Brings one value into A and another into X.
    fn load_both(&mut self, left: Id, right: Id) -> Result<(), Problem> {
        if self.is_simple(right) {
            self.load(left)?;
            return self.load_x(right);
        }
        if self.registers.x == Some(right) && self.keeps_x(left) {
            return self.load(left);
        }
        if self.keeps_x(left) && self.registers.a != Some(left) {
            self.load_x(right)?;
            return self.load(left);
        }
        let cell = self.cells;
        if usize::try_from(cell).map_or(true, |cell| cell >= MEMORY) {
            return Err(Problem::TooMuch);
        }
        self.load(right)?;
        self.put(op::ST, cell);
        self.cells = cell.saturating_add(1);
        self.load(left)?;
        self.cells = cell;
        self.put(op::LDX | op::MEM, cell);
        self.registers.x = Some(right);
        Ok(())
    }

    /// Whether X takes it in one step that leaves A alone.
    fn is_simple(&self, id: Id) -> bool {
        matches!(self.values.get(id), Value::Const(_) | Value::HeaderLen(_) | Value::Length)
    }

    /// Whether it comes into A without X.
    fn keeps_x(&self, id: Id) -> bool {
        match self.values.get(id) {
            Value::Const(_) | Value::Length | Value::Load { .. } => true,
            Value::HeaderLen(_) | Value::Indexed { .. } => false,
            Value::Negate(inner) => self.keeps_x(inner),
            Value::Operation { left, right, .. } => {
                self.values.constant(right).is_some() && self.keeps_x(left)
            }
        }
    }
}

const fn width(size: Size) -> u16 {
    match size {
        Size::Byte => op::B,
        Size::Half => op::H,
        Size::Word => op::W,
    }
}

/// The program from its end, so that it is known how far all that was written is away.
struct Backwards {
    instructions: Vec<Instruction>,
    /// How long the program was with what the jump to a block leads to: its first instruction,
    /// or a long jump there.
    blocks: Vec<Option<usize>>,
    accept: Option<usize>,
    reject: Option<usize>,
    verdict: u32,
    /// Blocks that do the same as one that was written.
    same: Vec<Option<usize>>,
    written: HashMap<Step, usize>,
}

/// All that a block does.
#[derive(Eq, Hash, PartialEq)]
struct Step {
    code: Vec<Instruction>,
    jump: u16,
    k: u32,
    yes: Next,
    no: Next,
}

/// How far a conditional jump reaches, with room for the two long ones that may follow it.
const REACH: usize = 253;

impl Backwards {
    fn block(&mut self, graph: &Graph, at: usize, block: &Block, code: Vec<Instruction>) {
        let (yes, no) = (self.stand_in(block.yes), self.stand_in(block.no));
        let constant = graph.values.constant(block.test.right);
        let source = if constant.is_some() { 0 } else { op::X };
        let jump = op::JMP | block.test.compare | source;
        let k = constant.unwrap_or(0);
        // Tests of two values come down to the same steps if both lie in A by now.
        let step = Step { code, jump, k, yes, no };
        if let Some(old) = self.written.get(&step) {
            if let Some(same) = self.same.get_mut(at) {
                *same = Some(*old);
            }
            return;
        }
        // A way that is out of reach gets a step in between.
        for next in [no, yes] {
            self.nearby(next);
        }
        let (jt, jf) = (self.distance(yes), self.distance(no));
        self.instructions.push(Instruction { code: jump, jt, jf, k });
        self.instructions.extend(step.code.iter().rev());
        let len = self.instructions.len();
        if let Some(place) = self.blocks.get_mut(at) {
            *place = Some(len);
        }
        self.written.insert(step, at);
    }

    fn stand_in(&self, next: Next) -> Next {
        match next {
            Next::Block(at) => Next::Block(self.same.get(at).copied().flatten().unwrap_or(at)),
            other => other,
        }
    }

    /// Sees to it that something within reach leads there.
    fn nearby(&mut self, next: Next) {
        let len = self.instructions.len();
        let old = self.place(next).and_then(|place| *place);
        if old.is_some_and(|old| len.saturating_sub(old) <= REACH) {
            return;
        }
        let ret = |k| Instruction { code: op::RET, jt: 0, jf: 0, k };
        self.instructions.push(match (next, old) {
            (Next::Accept, _) => ret(self.verdict),
            (Next::Block(_), Some(old)) => {
                let k = u32::try_from(len.saturating_sub(old)).unwrap_or(u32::MAX);
                Instruction { code: op::JMP | op::JA, jt: 0, jf: 0, k }
            }
            (Next::Block(_) | Next::Reject, _) => ret(0),
        });
        if let Some(place) = self.place(next) {
            *place = Some(len.saturating_add(1));
        }
    }

    fn distance(&mut self, next: Next) -> u8 {
        let len = self.instructions.len();
        let place = self.place(next).and_then(|place| *place).unwrap_or(len);
        u8::try_from(len.saturating_sub(place)).unwrap_or(u8::MAX)
    }

    fn place(&mut self, next: Next) -> Option<&mut Option<usize>> {
        match next {
            Next::Accept => Some(&mut self.accept),
            Next::Block(at) => self.blocks.get_mut(at),
            Next::Reject => Some(&mut self.reject),
        }
    }
}
