//! The shape that all dissectors have.

use super::facts::Facts;
use super::protocol::Protocol;
use super::view::{Transport, View};

/// What a dissector says of what it was shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is not this protocol; it is not asked again of this flow.
    No,
    /// It may be; more is needed to say.
    Wait,
    /// It is, and nothing more is to be learnt from it.
    Is(Protocol),
    /// It is, and later packets are of interest: names or versions that are to come.
    More(Protocol),
}

impl Verdict {
    /// The protocol if it was found.
    #[must_use]
    pub const fn when(found: bool, protocol: Protocol) -> Self {
        if found { Self::Is(protocol) } else { Self::No }
    }
}

/// How much a match is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Strength {
    /// A signature that others do not have by accident.
    Strong,
    /// Some bits that fit, packet after packet: it is asked last, after all the others have not
    /// found anything in a packet.
    Weak,
}

/// A dissector: what it looks for, and where that usually is.
#[derive(Clone, Copy, Debug)]
pub struct Dissector {
    /// What it finds in the first place; others are its variants.
    pub protocol: Protocol,
    /// TCP.
    pub tcp: bool,
    /// UDP.
    pub udp: bool,
    /// Server ports of the protocol: its dissector is asked first there, and a flow that nobody
    /// knows is taken for it by them, marked as a guess.
    pub ports: &'static [u16],
    /// Ports whose guess is another protocol than the first.
    pub guesses: &'static [(u16, Protocol)],
    /// What its word is worth.
    pub strength: Strength,
    /// It is asked only where one of the ports is: elsewhere its signature would say nothing.
    pub is_bound: bool,
    /// Looks at a packet. Pure; reads no more than it is shown, in bounded time, and allocates
    /// nothing. Facts of a flow that it does not take are dropped.
    pub dissect: fn(&View<'_>, &mut Facts) -> Verdict,
}

impl Dissector {
    /// Of a protocol over TCP.
    #[must_use]
    pub const fn tcp(
        protocol: Protocol,
        ports: &'static [u16],
        dissect: fn(&View<'_>, &mut Facts) -> Verdict,
    ) -> Self {
        Self {
            protocol,
            tcp: true,
            udp: false,
            ports,
            guesses: &[],
            strength: Strength::Strong,
            is_bound: false,
            dissect,
        }
    }

    /// Of a protocol over UDP.
    #[must_use]
    pub const fn udp(
        protocol: Protocol,
        ports: &'static [u16],
        dissect: fn(&View<'_>, &mut Facts) -> Verdict,
    ) -> Self {
        Self { tcp: false, udp: true, ..Self::tcp(protocol, ports, dissect) }
    }

    /// Of a protocol over both.
    #[must_use]
    pub const fn both(
        protocol: Protocol,
        ports: &'static [u16],
        dissect: fn(&View<'_>, &mut Facts) -> Verdict,
    ) -> Self {
        Self { udp: true, ..Self::tcp(protocol, ports, dissect) }
    }

    /// The same, with other guesses by some ports.
    #[must_use]
    pub const fn guesses(self, guesses: &'static [(u16, Protocol)]) -> Self {
        Self { guesses, ..self }
    }

    /// The same, asked last.
    #[must_use]
    pub const fn weak(self) -> Self {
        Self { strength: Strength::Weak, ..self }
    }

    /// The same, asked only at its ports.
    #[must_use]
    pub const fn bound(self) -> Self {
        Self { is_bound: true, ..self }
    }

    /// It looks at packets of a transport.
    #[must_use]
    pub const fn takes(&self, transport: Transport) -> bool {
        match transport {
            Transport::Tcp => self.tcp,
            Transport::Udp => self.udp,
        }
    }
}
