//! Applications as they are read: the shipped rules, then the user's own of the state directory.

use super::Agent;
use crate::applications::{self, Applications, Builder};

/// Folder of the user's rules in the state directory; files of other names are passed over.
pub const FOLDER: &str = "applications.d";
const SUFFIX: &str = ".rules";

/// Files of rules; further ones are an error.
const MAX_FILES: usize = 64;

impl Agent {
    /// Reads all rules at start: a file that is wrong is left out as a whole. Returns what is wrong,
    /// each with file, line and column.
    pub fn load_applications(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut names = self.host.list(FOLDER).unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        loop {
            match with(&mut names, |path| self.host.load(path)) {
                Ok(applications) => {
                    self.take_applications(applications);
                    return problems;
                }
                Err(Wrong { file, problem }) => {
                    problems.push(problem);
                    match file {
                        Some(at) => drop(names.remove(at)),
                        None => return problems,
                    }
                }
            }
        }
    }

    /// Reads all rules as they are now, for [`Self::take_applications`].
    ///
    /// # Errors
    ///
    /// File, line and column of the first rule that is wrong.
    pub(super) fn read_applications(&mut self) -> Result<Applications, String> {
        let mut names = self.host.list(FOLDER)?;
        with(&mut names, |path| self.host.load(path)).map_err(|wrong| wrong.problem)
    }

    /// Has other rules in force. Flows that are known already keep what they are.
    pub(super) fn take_applications(&mut self, applications: Applications) {
        self.engine.lore.applications = applications;
        self.engine.recall.clear();
    }
}

/// What is wrong with rules.
#[derive(Debug)]
pub struct Wrong {
    /// The file's place among the names, if it is one file.
    file: Option<usize>,
    /// With file, line and column where it has them.
    pub problem: String,
}

/// The shipped rules, then those of the files of [`FOLDER`], which `load` reads. Of the names, those
/// of rules stay, in the order in which they are read.
///
/// # Errors
///
/// The first rule that is wrong.
pub fn with(
    names: &mut Vec<String>,
    mut load: impl FnMut(&str) -> Result<Option<Vec<u8>>, String>,
) -> Result<Applications, Wrong> {
    names.retain(|name| name.ends_with(SUFFIX));
    names.sort_unstable();
    if names.len() > MAX_FILES {
        let problem = format!("{FOLDER}: more than {MAX_FILES} files of rules");
        return Err(Wrong { file: Some(MAX_FILES), problem });
    }
    let mut builder = shipped().map_err(|problem| Wrong { file: None, problem })?;
    for (at, name) in names.iter().enumerate() {
        let path = [FOLDER, "/", name].concat();
        load(&path)
            .and_then(|bytes| bytes.map_or(Ok(()), |bytes| add(&mut builder, &path, bytes)))
            .map_err(|problem| Wrong { file: Some(at), problem })?;
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
