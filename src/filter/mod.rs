//! tcpdump's filter language (pcap-filter(7)), compiled to classic BPF for the kernel, and a
//! machine that runs it over frames from files.
//!
//! Text becomes a tree ([`Expression`]), the tree with a link type a graph of tests, the graph a
//! [`Program`]. What a filter means follows libpcap to the letter, down to which headers a
//! primitive checks first; what is not taken is refused with a reason. Names of hosts are never
//! looked up.
//!
//! Where it differs: BSD loopback frames are read in either byte order and with every system's
//! number for IPv6; `stp`, `iso` and `netbeui` are found in cooked frames of version 2; a frame
//! that ends inside a header passes if what is missing decides nothing; `ip broadcast` means the
//! addresses that are so under any netmask, as for tcpdump with a file; a few texts that can only
//! mean one thing are taken though libpcap's grammar has no place for them (`net 10/8`).

use std::fmt;

use crate::wire::link::LinkType;

mod ast;
pub mod bpf;
mod codegen;
pub mod dispatch;
mod emit;
mod graph;
mod lex;
pub mod names;
mod parse;
#[cfg(test)]
mod tests;
mod value;
pub mod vm;

use bpf::Instruction;
use names::Names;
use vm::Meta;

/// The longest expression.
pub const MAX_TEXT: usize = 4_096;

/// How deep parentheses, brackets and operators of arithmetic may nest.
pub const MAX_DEPTH: usize = 64;

/// How to compile.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The verdict on a frame that matches: how many octets to keep.
    pub accept: u32,
    /// For a socket of this machine: the kernel tells direction and interface, and may have
    /// taken the outer VLAN tag off the frame.
    pub live: bool,
    /// Where names of services and protocols are looked up.
    pub names: &'a dyn Names,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { accept: 262_144, live: false, names: &names::BuiltIn }
    }
}

/// Compiles an expression; an empty one matches everything.
///
/// # Errors
/// If it can't be understood, or asks what frames of this link type can't tell.
pub fn compile(text: &str, link: LinkType, options: &Options<'_>) -> Result<Program, Error> {
    Expression::parse(text, options.names)?.compile(link, options)
}

/// An expression that was understood, to be compiled for any number of link types.
#[derive(Clone, Debug)]
pub struct Expression(ast::Tree);

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// If it can't be understood.
    pub fn parse(text: &str, names: &dyn Names) -> Result<Self, Error> {
        parse::parse(text, names).map(Self)
    }

    /// Compiles it for a link type. `options.names` is not asked any more.
    ///
    /// # Errors
    /// If it asks what frames of this link type can't tell, or the program gets too long.
    pub fn compile(&self, link: LinkType, options: &Options<'_>) -> Result<Program, Error> {
        let graph = codegen::generate(&self.0, link, options.live)?;
        let instructions = emit::emit(&graph, options.accept)?;
        Ok(Program { instructions })
    }
}

/// A compiled filter.
#[derive(Clone, Debug)]
pub struct Program {
    instructions: Box<[Instruction]>,
}

impl Program {
    /// What to attach to a socket.
    #[must_use]
    pub const fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Whether a frame matches. `wire_len` is its length before it was cut.
    #[must_use]
    pub fn matches(&self, frame: &[u8], wire_len: u32, meta: &Meta) -> bool {
        vm::run(&self.instructions, frame, wire_len, meta) != 0
    }
}

/// Why an expression can't be compiled, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Error {
    /// Octets before the piece in question.
    pub at: usize,
    /// Octets of that piece; 0 at the end of the text.
    pub len: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with an expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Problem {
    /// Something else must stand here.
    Expected(&'static str),
    /// Understood, but not taken, for this reason.
    Refused(&'static str),
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// Longer than [`MAX_TEXT`].
    TooLong,
    /// Needs more instructions or scratch memory than there are.
    TooMuch,
    /// No such name of this kind.
    Unknown(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {}", self.problem, self.at)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::Refused(reason) => f.write_str(reason),
            Self::TooDeep => write!(f, "nested more than {MAX_DEPTH} deep"),
            Self::TooLong => write!(f, "longer than {MAX_TEXT} octets"),
            Self::TooMuch => f.write_str("too much for one filter program"),
            Self::Unknown(kind) => write!(f, "no {kind} of this name is known"),
        }
    }
}
