//! Views of bytes and writers of bytes: no state, no clock, no input or output, nothing allocated
//! on the way in.

pub mod decode;
pub mod link;
pub mod netlink;
