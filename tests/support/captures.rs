//! Where the captures of the workplace are.

use std::path::{Path, PathBuf};

/// The folder of captures with what is known of them; `None`, said aloud, where it is absent.
pub(crate) fn captures() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = root.join("../shared/pcaps/ndpi");
    if !found.join("captures.tsv").is_file() {
        eprintln!("skipped: no captures at {}", found.display());
        return None;
    }
    Some(found)
}
