//! Why a query has no answer.

use std::fmt;

/// Why a query has no answer, and where it says so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Error {
    /// Octets of the query before the place, where there is one.
    pub at: Option<usize>,
    /// What Skydive says, or as near as can be.
    pub message: String,
    /// Which sort of failure it is.
    pub kind: Kind,
}

/// A sort of failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It would take more work or memory than one query may have.
    Budget,
    /// What it asks for is not there, or not of its kind.
    Execution,
    /// It is no query.
    Syntax,
}

impl Error {
    pub(super) fn syntax(at: usize, message: impl Into<String>) -> Self {
        Self { at: Some(at), message: message.into(), kind: Kind::Syntax }
    }

    pub(super) fn execution(at: usize, message: impl Into<String>) -> Self {
        Self { at: Some(at), message: message.into(), kind: Kind::Execution }
    }

    pub(super) fn budget(at: usize, message: impl Into<String>) -> Self {
        Self { at: Some(at), message: message.into(), kind: Kind::Budget }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.at {
            Some(at) => write!(f, " at position {at}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
