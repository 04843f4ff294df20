//! To come.
#[expect(missing_docs)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FlowId(pub u64);
pub mod filter;
pub mod record;
pub mod top;
