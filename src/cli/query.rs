//! `portolan query`: one Gremlin expression to the Unix socket of a running agent, its answer as
//! a table for people or as JSON for programs. Blocking, as a command is.

use std::io::{self, ErrorKind, IsTerminal as _, Read as _, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use crate::api::json::Indent;
use crate::text::plain;
use crate::wire::json;

use super::args::Query;
use super::exit;

/// Silence after which an answer is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer that is taken, in octets.
const MAX_ANSWER: u64 = 1024 * 1024 * 1024;

/// What stands around the data of an answer.
const BEFORE: &[u8] = b"{\"code\":100,\"data\":";
const AFTER: &[u8] = b",\"message\":\"Ok.\"}";

/// Runs the sub-command and returns the exit code.
#[must_use]
pub fn run(query: &Query) -> i32 {
    let text = query.expression.join(" ");
    let text = text.trim();
    if text.is_empty() {
        complain!("portolan: what to ask? Try portolan query 'G.V()'");
        return exit::USAGE;
    }
    let answer = match ask(&query.socket, text) {
        Ok(answer) => answer,
        Err(error) => {
            let code = match error.kind() {
                ErrorKind::PermissionDenied => exit::DENIED,
                _ => exit::UNREACHABLE,
            };
            complain!(
                "portolan: no answer on {}: {error}; is the agent running there?",
                query.socket
            );
            return code;
        }
    };
    let data = answer.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(AFTER));
    let Some(data) = data else { return refused(&answer, text) };
    let out = io::stdout();
    let people = out.is_terminal() && !query.json;
    match print(data, people, query.pretty, &mut out.lock()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain!("portolan: standard output: {error}");
            exit::FAILED
        }
        _ => exit::OK,
    }
}

/// One request and its answer, without the line end.
fn ask(socket: &str, text: &str) -> io::Result<Vec<u8>> {
    let mut request = Vec::from(*b"{\"command\":\"gremlin\",\"data\":");
    json::string(&mut request, text);
    request.extend_from_slice(b"}\n");
    exchange(socket, &request)
}

/// Sends one request and reads its answer, without the line end.
pub(super) fn exchange(socket: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => io::Error::new(ErrorKind::TimedOut, "timed out"),
        _ => error,
    })?;
    while answer.last().is_some_and(u8::is_ascii_whitespace) {
        answer.pop();
    }
    Ok(answer)
}

/// Says why there is no answer and, to people, points at the place.
fn refused(answer: &[u8], text: &str) -> i32 {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let message = answer.get("message").and_then(Value::as_str);
    let message = message.unwrap_or("the agent's answer cannot be read");
    complain!("portolan: {}", plain(message));
    let place = message.rsplit_once(" at position ").and_then(|(_, at)| at.parse().ok());
    if io::stderr().is_terminal()
        && let Some(pointer) = place.and_then(|at| pointer(text, at))
    {
        complain!("{pointer}");
    }
    exit::FAILED
}

/// The line of the query that a place is in, with a caret below it.
fn pointer(text: &str, at: usize) -> Option<String> {
    let (before, after) = text.split_at_checked(at)?;
    let start = before.rsplit('\n').next().unwrap_or_default();
    let rest = after.split('\n').next().unwrap_or_default();
    let blanks = " ".repeat(start.chars().count());
    Some(format!("  {}\n  {blanks}^", plain(&format!("{start}{rest}"))))
}

fn print(data: &[u8], people: bool, pretty: bool, out: &mut impl Write) -> io::Result<()> {
    if people
        && !pretty
        && let Some(table) = table(data)
    {
        return out.write_all(table.as_bytes());
    }
    if people || pretty {
        let mut indented = Vec::new();
        Indent::default().write(&mut indented, data);
        out.write_all(&indented)?;
    } else {
        out.write_all(data)?;
    }
    out.write_all(b"\n")?;
    out.flush()
}

/// A column: its heading, and where in an item its text is.
type Column = (&'static str, &'static [&'static str]);

const NODES: &[Column] = &[
    ("NAME", &["/Metadata/Name"]),
    ("TYPE", &["/Metadata/Type"]),
    ("STATE", &["/Metadata/State"]),
    ("MAC", &["/Metadata/MAC"]),
    ("ADDRESSES", &["/Metadata/IPV4", "/Metadata/IPV6"]),
    ("ID", &["/ID"]),
];

const EDGES: &[Column] = &[
    ("RELATION", &["/Metadata/RelationType"]),
    ("TYPE", &["/Metadata/Type"]),
    ("PARENT", &["/Parent"]),
    ("CHILD", &["/Child"]),
    ("ID", &["/ID"]),
];

const FLOWS: &[Column] = &[
    ("APPLICATION", &["/Application"]),
    ("A", &["/Network/A", "/Link/A"]),
    ("PORT", &["/Transport/A"]),
    ("B", &["/Network/B", "/Link/B"]),
    ("PORT", &["/Transport/B"]),
    ("PACKETS AB", &["/Metric/ABPackets"]),
    ("BYTES AB", &["/Metric/ABBytes"]),
    ("PACKETS BA", &["/Metric/BAPackets"]),
    ("BYTES BA", &["/Metric/BABytes"]),
    ("UUID", &["/UUID"]),
];

/// Nodes, edges or flows as a table; `None` for anything else.
fn table(data: &[u8]) -> Option<String> {
    let items: Vec<Value> = serde_json::from_slice(data).ok()?;
    let first = items.first()?;
    let columns = match (first.get("Metadata"), first.get("Parent"), first.get("LayersPath")) {
        (Some(_), None, _) => NODES,
        (Some(_), Some(_), _) => EDGES,
        (None, _, Some(_)) => FLOWS,
        _ => return None,
    };
    let heading = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let row = |item: &Value| columns.iter().map(|column| cell(item, column)).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(items.iter().map(row)).collect();
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut table = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let gap = width.saturating_sub(cell.chars().count()).saturating_add(2);
            line.push_str(&" ".repeat(gap));
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    Some(table)
}

/// What stands in a column. A flow shows hardware addresses only where it has no others.
fn cell(item: &Value, (_, paths): &Column) -> String {
    let mut found = paths.iter().filter_map(|path| item.pointer(path)).map(|value| match value {
        Value::String(text) => plain(text),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().filter_map(Value::as_str).map(plain).collect();
            texts.join(",")
        }
        other => plain(&json::text(other)),
    });
    match found.next() {
        Some(first) if paths.iter().all(|path| path.starts_with("/Metadata")) => {
            found.fold(first, |all, next| format!("{all},{next}"))
        }
        first => first.unwrap_or_else(|| "-".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_make_a_table_with_all_their_addresses() {
        let nodes = br#"[{"ID":"1","Metadata":{"Name":"eth0","Type":"device","IPV4":["10.0.0.1/24"],"IPV6":["fe80::1/64"]}},
            {"ID":"22","Metadata":{"Name":"a\u001b[2J","Type":"netns"}}]"#;
        let table = table(nodes).unwrap();
        assert_eq!(
            table,
            "NAME   TYPE    STATE  MAC  ADDRESSES               ID\n\
             eth0   device  -      -    10.0.0.1/24,fe80::1/64  1\n\
             a?[2J  netns   -      -    -                       22\n"
        );
    }

    #[test]
    fn what_is_no_list_of_elements_makes_no_table() {
        for data in ["[]", "5", "[1]", "[[]]", "{}", r#"[{"a":1}]"#] {
            assert_eq!(table(data.as_bytes()), None, "{data}");
        }
    }

    #[test]
    fn a_caret_points_at_the_place_in_its_line() {
        assert_eq!(pointer("G.Foo()", 2), Some("  G.Foo()\n    ^".to_owned()));
        assert_eq!(pointer("G.V()\n .Ünd(", 8), Some("   .Ünd(\n    ^".to_owned()));
        assert_eq!(pointer("G", 5), None);
    }

    #[test]
    fn programs_get_the_answer_as_it_came() {
        let mut out = Vec::new();
        print(b"[1,{\"a\":2}]", false, false, &mut out).unwrap();
        assert_eq!(out, b"[1,{\"a\":2}]\n");
        out.clear();
        print(b"[1]", false, true, &mut out).unwrap();
        assert_eq!(out, b"[\n    1\n]\n");
    }
}
