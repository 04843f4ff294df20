//! To come.
use super::record::Record;
#[expect(missing_docs)]
#[derive(Clone, Debug, Default)]
pub struct Query {}
#[expect(missing_docs)]
impl Query {
    pub fn matches_record(&self, _: &Record) -> bool {
        true
    }
}
