//! To come.
#[expect(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Of {
    Host,
    Port,
    Proto,
    Iface,
}
#[expect(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum By {
    Bytes,
    Packets,
    Flows,
}
