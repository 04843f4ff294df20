//! Views of bytes and writers of bytes: no state, no clock, no input or output, nothing allocated
//! on the way in.

pub mod craft;
pub mod crc32;
pub mod decode;
pub mod dhcp;
pub mod dns;
pub mod gzip;
pub mod json;
pub mod layers;
pub mod link;
pub mod mac;
pub mod netlink;
pub mod order;
pub mod pcap;
pub mod pcapng;
pub mod proto;
pub mod protobuf;
pub mod raw;
pub mod uuid;
pub mod vendor;
