//! To come.
#[expect(missing_docs)]
#[derive(Debug, Default)]
pub struct Store {}
