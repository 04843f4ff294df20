//! Conversations for the tests of dissectors: shown to all of them, as live packets are.

use std::path::Path;

use super::{Fact, Inspector, Limits, Outcome, Progress, Protocol, Segment};
use crate::wire::decode::Tcp;

/// Who says what, in order.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    proto: u8,
    client_port: u16,
    server_port: u16,
    is_start: bool,
    said: Vec<(bool, Vec<u8>)>,
}

static CLIENT: [u8; 16] = [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
static SERVER: [u8; 16] = [198, 51, 100, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

impl Talk {
    /// Over TCP, to a port, from its beginning.
    pub(super) const fn tcp(server_port: u16) -> Self {
        Self { proto: 6, client_port: 50_001, server_port, is_start: true, said: Vec::new() }
    }

    /// Over UDP, to a port.
    pub(super) fn udp(server_port: u16) -> Self {
        Self { proto: 17, ..Self::tcp(server_port) }
    }

    /// From a port.
    pub(super) const fn from(mut self, client_port: u16) -> Self {
        self.client_port = client_port;
        self
    }

    /// Picked up in the middle.
    pub(super) const fn midway(mut self) -> Self {
        self.is_start = false;
        self
    }

    /// The client says this.
    pub(super) fn client(mut self, payload: &[u8]) -> Self {
        self.said.push((true, payload.to_vec()));
        self
    }

    /// The server says this.
    pub(super) fn server(mut self, payload: &[u8]) -> Self {
        self.said.push((false, payload.to_vec()));
        self
    }

    /// A packet of it without payload.
    pub(super) const fn segment(&self) -> Segment<'static> {
        Segment {
            proto: self.proto,
            tcp: if self.proto == 6 {
                Some(Tcp { seq: 1, ack: 1, flags: Tcp::ACK | Tcp::PSH, window: 1_000 })
            } else {
                None
            },
            from_client: true,
            is_start: self.is_start,
            payload: &[],
            len: 0,
            client: &CLIENT,
            server: &SERVER,
            client_port: self.client_port,
            server_port: self.server_port,
            ip_version: 4,
        }
    }

    /// What is known after each packet, before anything is guessed; and at the end with guesses.
    fn run(&self) -> (Vec<(Progress, Outcome)>, Outcome) {
        let mut inspector = Inspector::new(Limits::default());
        let (mut word, mut after) = (0, Vec::new());
        let mut seqs = [1_u32, 1];
        for (from_client, payload) in &self.said {
            let seq = &mut seqs[usize::from(*from_client)];
            let tcp = self.segment().tcp.map(|tcp| Tcp { seq: *seq, ..tcp });
            *seq = seq.wrapping_add(u32::try_from(payload.len()).unwrap());
            let segment = Segment {
                tcp,
                from_client: *from_client,
                payload,
                len: payload.len(),
                ..self.segment()
            };
            if Inspector::is_done(word) {
                break;
            }
            let progress = inspector.inspect(&mut word, &segment);
            after.push((progress, inspector.outcome(word)));
        }
        inspector.conclude(&mut word, &self.segment());
        let outcome = inspector.outcome(word);
        inspector.release(word);
        if let Some(dir) = std::env::var_os("PORTOLAN_SEEDS") {
            self.sow(outcome.protocol, Path::new(&dir));
        }
        (after, outcome)
    }

    /// Writes it for the fuzzer, in the form of `tests/fuzz/dissection.rs`: of each protocol the
    /// longest of up to a thousand octets.
    fn sow(&self, protocol: Protocol, dir: &Path) {
        let mut script = vec![u8::from(self.proto == 17) | u8::from(!self.is_start) << 1];
        script.extend(self.client_port.to_be_bytes());
        script.extend(self.server_port.to_be_bytes());
        for (from_client, payload) in &self.said {
            let len = u16::try_from(payload.len()).unwrap() & 0x7fff;
            script.extend((len | u16::from(!from_client) << 15).to_be_bytes());
            script.extend(payload);
        }
        let name = protocol.name().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let path = dir.join(name.to_lowercase());
        let is_longer = std::fs::metadata(&path).is_ok_and(|old| old.len() >= script.len() as u64);
        if script.len() <= 1_024 && !is_longer {
            std::fs::write(path, script).unwrap();
        }
    }

    /// What the payload shows at the end, nothing guessed.
    pub(super) fn outcome(&self) -> Outcome {
        let (_, outcome) = self.run();
        if outcome.is_guessed { Outcome::default() } else { outcome }
    }

    /// Its protocol by its payload.
    pub(super) fn protocol(&self) -> Protocol {
        self.outcome().protocol
    }

    /// Its protocol, guessed if need be.
    pub(super) fn guess(&self) -> Protocol {
        self.run().1.protocol
    }

    /// A fact as text.
    pub(super) fn fact(&self, fact: Fact) -> Option<String> {
        self.outcome().facts.get(fact).map(|v| String::from_utf8_lossy(v).into_owned())
    }

    /// What is said first may end anywhere without harm.
    pub(super) fn survives(&self) {
        let Some((_, first)) = self.said.first() else { return };
        for len in 0..first.len() {
            let mut cut = self.clone();
            cut.said[0].1.truncate(len);
            cut.run();
        }
    }

    /// All values of a fact, as text.
    pub(super) fn facts(&self, fact: Fact) -> Vec<String> {
        let outcome = self.outcome();
        outcome.facts.all(fact).map(|v| String::from_utf8_lossy(v).into_owned()).collect()
    }
}

/// Octets of hexadecimal text with blanks between.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).expect("a hexadecimal digit")).unwrap())
        .collect();
    assert!(digits.len().is_multiple_of(2), "a digit is missing");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
