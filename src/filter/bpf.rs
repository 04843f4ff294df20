//! Classic BPF: its instruction and the numbers of `linux/bpf_common.h` and `linux/filter.h`.

/// One instruction, laid out as `struct sock_filter`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(C)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub jt: u8,
    /// How many to skip if not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// The most instructions that the kernel takes (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4_096;

/// Parts of [`Instruction::code`].
#[expect(missing_docs, reason = "named as in linux/bpf_common.h, without the BPF_")]
pub mod op {
    pub const LD: u16 = 0x00;
    pub const LDX: u16 = 0x01;
    pub const ST: u16 = 0x02;
    pub const STX: u16 = 0x03;
    pub const ALU: u16 = 0x04;
    pub const JMP: u16 = 0x05;
    pub const RET: u16 = 0x06;
    pub const TAX: u16 = 0x07;
    pub const TXA: u16 = 0x87;

    pub const W: u16 = 0x00;
    pub const H: u16 = 0x08;
    pub const B: u16 = 0x10;

    pub const IMM: u16 = 0x00;
    pub const ABS: u16 = 0x20;
    pub const IND: u16 = 0x40;
    pub const MEM: u16 = 0x60;
    pub const LEN: u16 = 0x80;
    pub const MSH: u16 = 0xa0;

    pub const ADD: u16 = 0x00;
    pub const SUB: u16 = 0x10;
    pub const MUL: u16 = 0x20;
    pub const DIV: u16 = 0x30;
    pub const OR: u16 = 0x40;
    pub const AND: u16 = 0x50;
    pub const LSH: u16 = 0x60;
    pub const RSH: u16 = 0x70;
    pub const NEG: u16 = 0x80;
    pub const MOD: u16 = 0x90;
    pub const XOR: u16 = 0xa0;

    pub const JA: u16 = 0x00;
    pub const JEQ: u16 = 0x10;
    pub const JGT: u16 = 0x20;
    pub const JGE: u16 = 0x30;
    pub const JSET: u16 = 0x40;

    pub const X: u16 = 0x08;
    pub const A: u16 = 0x10;
}

/// Offsets of absolute loads that reach beside the frame (`SKF_AD_OFF` and what is added to it).
pub mod ancillary {
    /// From here on (-0x1000) loads do not read the frame.
    pub const BASE: u32 = 0xffff_f000;
    /// `PACKET_HOST` to `PACKET_OUTGOING`.
    pub const PACKET_TYPE: u32 = BASE + 4;
    /// Interface index.
    pub const INTERFACE: u32 = BASE + 8;
    /// ARPHRD_ number of the interface.
    pub const HARDWARE: u32 = BASE + 28;
    /// Tag control information of the tag that was taken off.
    pub const VLAN_TAG: u32 = BASE + 44;
    /// 1 if a tag was taken off.
    pub const VLAN_TAG_PRESENT: u32 = BASE + 48;
}
