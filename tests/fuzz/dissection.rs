//! Conversations as octets, and what every dissector must bear of them.
//!
//! A script begins with an octet of flags (1: UDP, 2: picked up in the middle), the client's port
//! and the server's (big endian). Then each packet: two octets, the highest bit set if the server
//! sends it, the others how many octets of payload follow.

use portolan::detect::protocols::ALL;
use portolan::detect::{
    Dissector, Facts, Inspector, Limits, Memory, Protocol, Segment, Transport, Verdict, View,
};
use portolan::wire::decode::Tcp;

/// Octets of a half of a stream that a dissector is shown at most, as live.
const STREAM: usize = 8 * 1_024;

/// Packets of a conversation that are looked at.
const PACKETS: usize = 24;

static CLIENT: [u8; 16] = [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
static SERVER: [u8; 16] = [198, 51, 100, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A conversation.
pub(crate) struct Script<'a> {
    transport: Transport,
    is_start: bool,
    ports: (u16, u16),
    said: Vec<(bool, &'a [u8])>,
}

impl<'a> Script<'a> {
    /// Reads one; what is cut off at its end is said as far as it is there.
    pub(crate) fn parse(input: &'a [u8]) -> Option<Self> {
        let ([flags, c0, c1, s0, s1], mut rest) = input.split_first_chunk()?;
        let mut said = Vec::new();
        while let Some(([high, low], after)) = rest.split_first_chunk() {
            if said.len() == PACKETS {
                break;
            }
            let len = usize::from(u16::from_be_bytes([high & 0x7f, *low]));
            let (payload, next) = after.split_at(len.min(after.len()));
            said.push((high & 0x80 == 0, payload));
            rest = next;
        }
        Some(Self {
            transport: if flags & 1 == 0 { Transport::Tcp } else { Transport::Udp },
            is_start: flags & 2 == 0,
            ports: (u16::from_be_bytes([*c0, *c1]), u16::from_be_bytes([*s0, *s1])),
            said,
        })
    }

    /// What the agent makes of it: a name at the end, facts within their bounds, and nothing is
    /// left over.
    pub(crate) fn inspect(&self) -> Protocol {
        let mut inspector = Inspector::new(Limits::default());
        let (mut word, mut seqs) = (0, [1_u32, 1]);
        let proto = if self.transport == Transport::Tcp { 6 } else { 17 };
        let segment = |from_client, payload: &'a [u8], seq| Segment {
            proto,
            tcp: (proto == 6).then_some(Tcp {
                seq,
                ack: 1,
                flags: Tcp::ACK | Tcp::PSH,
                window: 1_000,
            }),
            from_client,
            is_start: self.is_start,
            payload,
            len: payload.len(),
            client: &CLIENT,
            server: &SERVER,
            client_port: self.ports.0,
            server_port: self.ports.1,
            ip_version: 4,
        };
        for (from_client, payload) in &self.said {
            if Inspector::is_done(word) {
                break;
            }
            let seq = &mut seqs[usize::from(*from_client)];
            inspector.inspect(&mut word, &segment(*from_client, payload, *seq));
            *seq = seq.wrapping_add(u32::try_from(payload.len()).unwrap_or_default());
        }
        inspector.conclude(&mut word, &segment(true, &[], 0));
        let outcome = inspector.outcome(word);
        assert!(Inspector::is_done(word) && outcome.facts.octets() <= 1_024);
        for (_, value) in outcome.facts.iter() {
            assert!(value.len() <= 255);
        }
        inspector.release(word);
        outcome.protocol
    }

    /// Shows it to one dissector until that has made up its mind.
    pub(crate) fn ask(&self, dissector: &Dissector) -> Verdict {
        let memory = Memory::default();
        let mut streams = [Vec::new(), Vec::new()];
        let mut verdict = Verdict::Wait;
        for (number, (from_client, payload)) in (1_u8..).zip(&self.said) {
            let half = &mut streams[usize::from(*from_client)];
            if self.transport == Transport::Tcp {
                half.extend_from_slice(payload);
                half.truncate(STREAM);
            }
            let [server, client] = &streams;
            let (data, other) = match (self.transport, *from_client) {
                (Transport::Udp, _) => (*payload, &[][..]),
                (Transport::Tcp, true) => (&client[..], &server[..]),
                (Transport::Tcp, false) => (&server[..], &client[..]),
            };
            let view = View {
                transport: self.transport,
                from_client: *from_client,
                data,
                other,
                len: data.len(),
                is_start: self.is_start,
                client_port: self.ports.0,
                server_port: self.ports.1,
                client: &CLIENT,
                server: &SERVER,
                ip_version: 4,
                past: &[],
                number,
                memory: &memory,
            };
            verdict = (dissector.dissect)(&view, &mut Facts::default());
            if matches!(verdict, Verdict::No | Verdict::Is(_)) {
                break;
            }
        }
        verdict
    }
}

/// A script for all of them together and for each alone, or with `DISSECTOR` in the environment
/// for those of the protocol of that name.
pub(crate) fn dissectors(input: &[u8]) {
    let Some(script) = Script::parse(input) else { return };
    let only = std::env::var("DISSECTOR").ok();
    if only.is_none() {
        script.inspect();
    }
    for dissector in ALL.iter().filter(|dissector| dissector.takes(script.transport)) {
        if only.as_ref().is_none_or(|name| dissector.protocol.name() == name) {
            script.ask(dissector);
        }
    }
}
