//! One program for a socket that hears several interfaces: which filter a frame meets is decided
//! by the link layer of the interface that it passed.

use super::bpf::{Instruction, MAX_INSTRUCTIONS, ancillary, op};
use super::{Error, Problem, Program};

/// Filters, each with the ARPHRD_ numbers of interfaces whose frames it is for. Frames of other
/// interfaces do not pass.
///
/// # Errors
/// If it gets too long for the kernel.
pub fn by_hardware(filters: &[(&[u16], &Program)]) -> Result<Program, Error> {
    let numbers: usize = filters.iter().map(|(numbers, _)| numbers.len()).sum();
    // A load, two for each number, and the verdict on the others.
    let head = numbers.saturating_mul(2).saturating_add(2);
    let bodies: usize = filters.iter().map(|(_, program)| program.instructions().len()).sum();
    let long = Error { at: 0, len: 0, problem: Problem::TooMuch };
    if head.saturating_add(bodies) > MAX_INSTRUCTIONS {
        return Err(long);
    }
    let step = |code: u16, jf: u8, k: u32| Instruction { code, jt: 0, jf, k };
    let mut out = vec![step(op::LD | op::W | op::ABS, 0, ancillary::HARDWARE)];
    let mut begin = head;
    for (numbers, program) in filters {
        for number in *numbers {
            out.push(step(op::JMP | op::JEQ, 1, u32::from(*number)));
            // Conditional jumps reach 255 instructions, this one all.
            let skip = begin.saturating_sub(out.len()).saturating_sub(1);
            out.push(step(op::JMP | op::JA, 0, u32::try_from(skip).map_err(|_| long)?));
        }
        begin = begin.saturating_add(program.instructions().len());
    }
    out.push(step(op::RET, 0, 0));
    for (_, program) in filters {
        out.extend_from_slice(program.instructions());
    }
    Ok(Program { instructions: out.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Options, compile};
    use crate::wire::link::LinkType;

    /// Follows the head as the kernel does for an interface of this number.
    fn target(program: &[Instruction], hardware: u32) -> usize {
        let mut at = 1;
        loop {
            let here = program[at];
            at += 1;
            match here.code {
                code if code == op::JMP | op::JEQ && here.k == hardware => {}
                code if code == op::JMP | op::JEQ => at += usize::from(here.jf),
                code if code == op::JMP | op::JA => return at + here.k as usize,
                _ => return at - 1,
            }
        }
    }

    #[test]
    fn each_link_layer_meets_its_own_filter() {
        let options = Options::default();
        let ether = compile("tcp port 80", LinkType::ETHERNET, &options).unwrap();
        let raw = compile("tcp port 80", LinkType::RAW, &options).unwrap();
        let both = by_hardware(&[(&[1, 772], &ether), (&[519, 65_534], &raw)]).unwrap();
        let all = both.instructions();
        let (n, m) = (ether.instructions().len(), raw.instructions().len());
        assert_eq!(all.len(), 10 + n + m);
        for (hardware, expected) in [(1, 10), (772, 10), (519, 10 + n), (65_534, 10 + n)] {
            assert_eq!(target(all, hardware), expected, "{hardware}");
        }
        assert_eq!(all[target(all, 512)], Instruction { code: op::RET, jt: 0, jf: 0, k: 0 });
    }
}
