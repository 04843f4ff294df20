//! The configuration file: `[section]` and `key = value` lines, `#` and `;` comments, values
//! optionally in double quotes, `${name}` replaced by the value of an earlier `name`.

use std::fmt;

/// Octets of a file that are read.
pub const MAX_FILE: usize = 256 * 1024;

/// One `key = value` with its section.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Item {
    /// Line number from 1.
    pub line: usize,
    /// The section it stands in, empty before the first.
    pub section: String,
    /// The key as written.
    pub key: String,
    /// The value, unquoted and with its variables replaced.
    pub value: String,
}

/// Why a file is not understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Error {
    /// A line that is neither a section nor an assignment.
    Line(usize),
    /// A `${` without its `}`.
    OpenVariable(usize),
    /// The file is larger than [`MAX_FILE`].
    TooLarge,
    /// A variable that no earlier line has set.
    UnknownVariable(usize, String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}: neither [section] nor key = value"),
            Self::OpenVariable(line) => write!(f, "line {line}: ${{ without its }}"),
            Self::TooLarge => write!(f, "larger than {} KiB", MAX_FILE / 1024),
            Self::UnknownVariable(line, name) => {
                write!(f, "line {line}: ${{{name}}} is not set above")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Reads a whole file.
///
/// # Errors
/// See [`Error`]; nothing of a file with an error is used.
pub fn parse(text: &str) -> Result<Vec<Item>, Error> {
    if text.len() > MAX_FILE {
        return Err(Error::TooLarge);
    }
    let mut items: Vec<Item> = Vec::new();
    let mut section = String::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = text.strip_prefix('[') {
            let name = name.split_once(']').ok_or(Error::Line(line))?.0;
            name.trim().clone_into(&mut section);
            continue;
        }
        let (key, value) = text.split_once('=').ok_or(Error::Line(line))?;
        let key = key.trim();
        if key.is_empty() {
            return Err(Error::Line(line));
        }
        let value = expand(unquote(value.trim()), line, &items)?;
        items.push(Item { line, section: section.clone(), key: key.to_owned(), value });
    }
    Ok(items)
}

/// A value in double quotes loses them; any other ends before a ` #` comment.
fn unquote(value: &str) -> &str {
    if let Some((inside, _)) = value.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        return inside;
    }
    value.split_once(" #").map_or(value, |(value, _)| value.trim_end())
}

fn expand(value: &str, line: usize, earlier: &[Item]) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after.split_once('}').ok_or(Error::OpenVariable(line))?;
        let found = earlier.iter().rev().find(|item| item.key == name);
        let found = found.ok_or_else(|| Error::UnknownVariable(line, name.to_owned()))?;
        out.push_str(before);
        // Values hold no variables any more, so this cannot go on for ever; but doubling line by
        // line could, so a value ends where a file does.
        out.push_str(&found.value);
        if out.len() > MAX_FILE {
            return Err(Error::TooLarge);
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_quotes_comments_and_variables_are_read() {
        let items = parse(
            "path_state_volatile = /run/x\n[netifyd]\n# note\n; note\n\
             path_server_socket=${path_state_volatile}/netifyd.sock\n\
             [management]\npassword = \"a # b\"\nport = 5644 # usual\n",
        )
        .unwrap();
        let short: Vec<_> =
            items.iter().map(|i| (i.section.as_str(), i.key.as_str(), i.value.as_str())).collect();
        assert_eq!(
            short,
            [
                ("", "path_state_volatile", "/run/x"),
                ("netifyd", "path_server_socket", "/run/x/netifyd.sock"),
                ("management", "password", "a # b"),
                ("management", "port", "5644"),
            ]
        );
    }

    #[test]
    fn errors_name_the_line() {
        assert_eq!(parse("a = 1\nnonsense\n"), Err(Error::Line(2)));
        assert_eq!(parse("a = ${b}"), Err(Error::UnknownVariable(1, "b".into())));
        assert_eq!(parse("a = ${b"), Err(Error::OpenVariable(1)));
        assert_eq!(parse("[open\n"), Err(Error::Line(1)));
        let bomb: String = (0..40).map(|n| format!("a{} = ${{a{n}}}${{a{n}}}\n", n + 1)).collect();
        assert_eq!(parse(&format!("a0 = xxxxxxxxxxxxxxxx\n{bomb}")), Err(Error::TooLarge));
    }

    #[test]
    fn any_text_is_safe() {
        use proptest::prelude::*;
        proptest!(|(text in "([\\[\\]=#;\"${}a-c \n]|\\PC){0,200}")| {
            let _ = parse(&text);
        });
    }
}
