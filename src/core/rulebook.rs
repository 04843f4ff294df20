//! Applications as they are read: the shipped rules, then the user's own of the state directory.

use super::Agent;
use crate::applications::{self, Applications, Builder};

/// Folder of the user's rules in the state directory; files of other names are passed over.
pub const FOLDER: &str = "applications.d";
const SUFFIX: &str = ".rules";

/// Files of rules; further ones are an error.
const MAX_FILES: usize = 64;

impl Agent {
    /// Reads all rules, at start and on reload. Flows that are known already keep what they are.
    ///
    /// # Errors
    ///
    /// File, line and column of the first rule that is wrong: what was known before stays.
    pub fn load_applications(&mut self) -> Result<(), String> {
        let names = self.host.list(FOLDER)?;
        let applications = with(names, |path| self.host.load(path))?;
        self.engine.lore.applications = applications;
        self.engine.recall.clear();
        Ok(())
    }
}

/// The shipped rules, then those of a folder [`FOLDER`] with files of these names, which `load`
/// reads.
///
/// # Errors
///
/// File, line and column of the first rule that is wrong.
pub fn with(
    mut names: Vec<String>,
    mut load: impl FnMut(&str) -> Result<Option<Vec<u8>>, String>,
) -> Result<Applications, String> {
    let mut builder = shipped()?;
    names.retain(|name| name.ends_with(SUFFIX));
    if names.len() > MAX_FILES {
        return Err(format!("{FOLDER}: more than {MAX_FILES} files of rules"));
    }
    names.sort_unstable();
    for name in names {
        let path = format!("{FOLDER}/{name}");
        let Some(bytes) = load(&path)? else { continue };
        add(&mut builder, &path, bytes)?;
    }
    Ok(builder.finish())
}

/// The shipped rules, then those of one file.
///
/// # Errors
///
/// File, line and column of the first rule that is wrong.
pub fn with_file(path: &str, bytes: Vec<u8>) -> Result<Applications, String> {
    let mut builder = shipped()?;
    add(&mut builder, path, bytes)?;
    Ok(builder.finish())
}

fn add(builder: &mut Builder, path: &str, bytes: Vec<u8>) -> Result<(), String> {
    let text = String::from_utf8(bytes).map_err(|_| format!("{path}: not UTF-8"))?;
    builder.read(&text).map_err(|error| format!("{path}:{error}"))
}

/// The shipped rules alone.
///
/// # Errors
///
/// None that a release can have.
pub fn known() -> Result<Applications, String> {
    shipped().map(Builder::finish)
}

fn shipped() -> Result<Builder, String> {
    let mut builder = Builder::default();
    builder.read(&applications::shipped()).map_err(|error| format!("shipped rules:{error}"))?;
    Ok(builder)
}
