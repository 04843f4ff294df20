//! stub
use crate::topology::value::Map;
use crate::wire::layers::Piece;
/// v
pub const VRRP: u32 = 1;
/// d
pub const DNS: u32 = 2;
/// d
pub const DHCPV4: u32 = 4;
/// r
pub fn read(
    wanted: u32,
    fresh: bool,
    piece: &Piece,
    data: &[u8],
    at: i64,
) -> Option<(&'static str, Map)> {
    let _ = (wanted, fresh, piece, data, at);
    None
}
