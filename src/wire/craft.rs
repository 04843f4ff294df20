//! x
use std::net::IpAddr;
/// x
pub const MAX_PAYLOAD: usize = 1472;
#[expect(missing_docs)]
#[derive(Clone, Copy, Debug)]
pub enum Transport {
    Echo { id: u16, sequence: u16 },
    Tcp { source: u16, destination: u16, sequence: u32 },
    Udp { source: u16, destination: u16 },
}
#[expect(missing_docs)]
#[derive(Debug)]
pub struct Packet<'a> {
    pub macs: ([u8; 6], [u8; 6]),
    pub ips: (IpAddr, IpAddr),
    pub ttl: u8,
    pub transport: Transport,
    pub payload: &'a [u8],
}
impl Packet<'_> {
    /// x
    pub fn frame(&self) -> Vec<u8> {
        Vec::new()
    }
}
