//! To come.
#[expect(missing_docs)]
#[derive(Clone, Debug)]
pub struct Record {}
