//! Runs a classic BPF program over a frame, as the kernel and libpcap do.
//!
//! Total: any instructions over any bytes end with a verdict, because jumps only lead forward.
//! What is undefined (an unknown instruction, a load or a jump beyond the end, a division by
//! zero) rejects the frame.

use super::bpf::{Instruction, ancillary, op};

/// What is known of a frame beside its bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Meta {
    /// Tag control information of a VLAN tag that the kernel took off.
    pub vlan: Option<u16>,
    /// `PACKET_*` of `linux/if_packet.h`: 0 to this host, 4 sent by it.
    pub packet_type: Option<u8>,
    /// Index of the interface.
    pub interface: Option<u32>,
}

/// Words of scratch memory.
pub(super) const MEMORY: usize = 16;

/// Runs a program; the result is how many octets to keep, 0 for none.
#[must_use]
pub fn run(program: &[Instruction], frame: &[u8], wire_len: u32, meta: &Meta) -> u32 {
    Machine { a: 0, x: 0, memory: [0; MEMORY], frame, wire_len, meta }.run(program).unwrap_or(0)
}

struct Machine<'a> {
    a: u32,
    x: u32,
    memory: [u32; MEMORY],
    frame: &'a [u8],
    wire_len: u32,
    meta: &'a Meta,
}

impl Machine<'_> {
    fn run(&mut self, program: &[Instruction]) -> Option<u32> {
        let mut rest = program;
        loop {
            let (now, next) = rest.split_first()?;
            rest = next;
            let source = if now.code & op::X == 0 { now.k } else { self.x };
            match now.code & 7 {
                op::LD => self.a = self.load(now)?,
                op::LDX => self.x = self.load_index(now)?,
                op::ST => *self.cell(now.k)? = self.a,
                op::STX => *self.cell(now.k)? = self.x,
                op::ALU => self.a = calculate(now.code & 0xf0, self.a, source)?,
                op::JMP => {
                    let skip = match now.code & 0xf0 {
                        op::JA => usize::try_from(now.k).ok()?,
                        compare => {
                            let holds = match compare {
                                op::JEQ => self.a == source,
                                op::JGT => self.a > source,
                                op::JGE => self.a >= source,
                                op::JSET => self.a & source != 0,
                                _ => return None,
                            };
                            usize::from(if holds { now.jt } else { now.jf })
                        }
                    };
                    rest = rest.get(skip..)?;
                }
                op::RET if now.code & 0x18 == op::A => return Some(self.a),
                op::RET => return Some(now.k),
                // The one class left is "miscellaneous".
                _ if now.code & 0xf8 == op::TAX & 0xf8 => self.x = self.a,
                _ if now.code & 0xf8 == op::TXA & 0xf8 => self.a = self.x,
                _ => return None,
            }
        }
    }

    fn load(&mut self, now: &Instruction) -> Option<u32> {
        match now.code & 0xe0 {
            op::IMM => Some(now.k),
            op::ABS if now.k >= ancillary::BASE => self.beside(now.k),
            op::ABS => self.octets(now.code, now.k),
            op::IND => self.octets(now.code, self.x.wrapping_add(now.k)),
            op::MEM => self.cell(now.k).copied(),
            op::LEN => Some(self.wire_len),
            _ => None,
        }
    }

    fn load_index(&mut self, now: &Instruction) -> Option<u32> {
        match now.code & 0xe0 {
            op::IMM => Some(now.k),
            op::MEM => self.cell(now.k).copied(),
            op::LEN => Some(self.wire_len),
            op::MSH => self.octets(op::B, now.k).map(|octet| (octet & 15) << 2),
            _ => None,
        }
    }

    fn octets(&self, code: u16, at: u32) -> Option<u32> {
        let bytes = self.frame.get(usize::try_from(at).ok()?..)?;
        match code & 0x18 {
            op::W => bytes.first_chunk().map(|word| u32::from_be_bytes(*word)),
            op::H => bytes.first_chunk().map(|half| u32::from(u16::from_be_bytes(*half))),
            op::B => bytes.first().map(|octet| u32::from(*octet)),
            _ => None,
        }
    }

    fn beside(&self, k: u32) -> Option<u32> {
        match k {
            ancillary::PACKET_TYPE => self.meta.packet_type.map(u32::from),
            ancillary::INTERFACE => self.meta.interface,
            ancillary::VLAN_TAG => Some(self.meta.vlan.map_or(0, u32::from)),
            ancillary::VLAN_TAG_PRESENT => Some(self.meta.vlan.is_some().into()),
            _ => None,
        }
    }

    fn cell(&mut self, k: u32) -> Option<&mut u32> {
        self.memory.get_mut(usize::try_from(k).ok()?)
    }
}

/// Arithmetic as the machine does it; the code generator folds constants with it, too.
pub(super) fn calculate(operation: u16, a: u32, source: u32) -> Option<u32> {
    Some(match operation {
        op::ADD => a.wrapping_add(source),
        op::SUB => a.wrapping_sub(source),
        op::MUL => a.wrapping_mul(source),
        op::DIV => a.checked_div(source)?,
        op::MOD => a.checked_rem(source)?,
        op::AND => a & source,
        op::OR => a | source,
        op::XOR => a ^ source,
        op::LSH => a.checked_shl(source).unwrap_or(0),
        op::RSH => a.checked_shr(source).unwrap_or(0),
        op::NEG => a.wrapping_neg(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn step(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
        Instruction { code, jt, jf, k }
    }

    #[test]
    fn undefined_steps_reject() {
        let frame = [1, 2, 3];
        let keep = step(op::RET, 0, 0, 9);
        let verdict = |first| run(&[first, keep], &frame, 3, &Meta::default());
        assert_eq!(verdict(step(op::LD | op::ABS | op::B, 0, 0, 2)), 9);
        assert_eq!(verdict(step(op::LD | op::ABS | op::B, 0, 0, 3)), 0);
        assert_eq!(verdict(step(op::LD | op::ABS | op::W, 0, 0, 0)), 0);
        assert_eq!(verdict(step(op::ALU | op::DIV, 0, 0, 0)), 0);
        assert_eq!(verdict(step(op::ALU | op::MOD | op::X, 0, 0, 1)), 0);
        assert_eq!(verdict(step(op::ST, 0, 0, 16)), 0);
        assert_eq!(verdict(step(op::JMP | op::JA, 0, 0, u32::MAX)), 0);
        assert_eq!(verdict(step(op::JMP | op::JEQ, 1, 1, 0)), 0);
        assert_eq!(run(&[], &frame, 3, &Meta::default()), 0);
    }

    #[test]
    fn what_is_beside_the_frame_can_be_loaded() {
        let present = step(op::LD | op::ABS | op::B, 0, 0, ancillary::VLAN_TAG_PRESENT);
        let program = [present, step(op::RET | op::A, 0, 0, 0)];
        assert_eq!(run(&program, &[], 0, &Meta::default()), 0);
        assert_eq!(run(&program, &[], 0, &Meta { vlan: Some(5), ..Meta::default() }), 1);
        let sent = [step(op::LD | op::ABS | op::B, 0, 0, ancillary::PACKET_TYPE), program[1]];
        assert_eq!(run(&sent, &[], 0, &Meta { packet_type: Some(4), ..Meta::default() }), 4);
        assert_eq!(run(&sent, &[], 0, &Meta::default()), 0);
    }

    proptest! {
        #[test]
        fn any_program_ends(
            steps in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u8>(), any::<u32>()), 0..200),
            small in any::<bool>(),
            frame in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let program: Vec<_> = steps
                .into_iter()
                .map(|(code, jt, jf, k)| {
                    if small { step(code & 0xff, jt & 3, jf & 3, k & 31) } else { step(code, jt, jf, k) }
                })
                .collect();
            let _ = run(&program, &frame, 100, &Meta::default());
        }
    }
}
