//! To come.
#[expect(missing_docs)]
#[derive(Clone, Debug)]
pub struct Change {}
#[expect(missing_docs)]
impl Change {
    pub fn is_neighbour(&self) -> bool {
        false
    }
}
