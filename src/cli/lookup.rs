//! `portolan lookup`: what is known of a name, an address or a hardware address, and from where. A
//! running agent knows names and devices; without one it is the rules and tables of the program.

use std::io::{self, ErrorKind, Write as _};

use serde_json::Value;

use crate::core::devices::listing::Wanted;
use crate::core::engine::Lore;
use crate::core::row::Value as Field;
use crate::core::{lookup, rulebook};
use crate::text::plain;
use crate::wire::{json, mac};

use super::args::Lookup;
use super::exit;
use super::query::exchange;

/// One thing that is known: what, its value, and from where.
type Told = [String; 3];

/// Runs the sub-command and returns the exit code.
#[must_use]
pub fn run(arguments: &Lookup) -> i32 {
    let subject = arguments.subject.join(" ");
    let subject = subject.trim();
    if subject.is_empty() {
        complain!("portolan: look up what? Name a host, an address or a hardware address");
        return exit::USAGE;
    }
    let (told, has_agent) = match ask(&arguments.socket, subject) {
        Ok(Ok(told)) => (told, true),
        Ok(Err(refused)) => {
            complain!("portolan: {}", plain(&refused));
            return exit::FAILED;
        }
        Err(error) => {
            let shown = plain(&arguments.socket);
            match error.kind() {
                ErrorKind::PermissionDenied => {
                    complain!("portolan: {shown}: {error}; run it as root, or as one of its group");
                    return exit::DENIED;
                }
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => {}
                _ => {
                    complain!("portolan: no answer on {shown}: {error}");
                    return exit::UNREACHABLE;
                }
            }
            if !arguments.json {
                complain!(
                    "portolan: no agent on {shown}: this is from the shipped rules and tables alone"
                );
            }
            (shipped(subject), false)
        }
    };
    let mut out = Vec::new();
    if arguments.json {
        write_json(&mut out, subject, &told, has_agent);
    } else {
        write_table(&mut out, &told);
    }
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&out).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain!("portolan: standard output: {error}");
            exit::FAILED
        }
        _ if told.is_empty() => {
            if !arguments.json {
                complain!("portolan: nothing is known of {}", plain(subject));
            }
            exit::FAILED
        }
        _ => exit::OK,
    }
}

/// The answer of the agent, or what it says against the question.
fn ask(socket: &str, subject: &str) -> io::Result<Result<Vec<Told>, String>> {
    let mut request = Vec::from(*b"{\"command\":\"lookup\",\"what\":");
    json::string(&mut request, subject);
    request.extend_from_slice(b"}\n");
    let answer: Value = serde_json::from_slice(&exchange(socket, &request)?).unwrap_or_default();
    let rows = answer.pointer("/data/rows").and_then(Value::as_array);
    let Some(rows) = rows else {
        let message = answer.get("message").and_then(Value::as_str);
        return Ok(Err(message.unwrap_or("the agent's answer cannot be read").to_owned()));
    };
    let text = |row: &Value, name: &str| match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(value)) => if *value { "yes" } else { "no" }.to_owned(),
        Some(value) => json::text(value),
        None => String::new(),
    };
    let told = rows.iter().map(|row| ["key", "value", "from"].map(|name| text(row, name)));
    Ok(Ok(told.collect()))
}

/// What the program itself knows.
fn shipped(subject: &str) -> Vec<Told> {
    let mut lore = Lore::default();
    match rulebook::known() {
        Ok(applications) => lore.applications = applications,
        Err(problem) => complain!("portolan: {problem}"),
    }
    let text = |value: Option<&Field>| match value {
        Some(Field::Text(text)) => text.to_string(),
        Some(Field::Bool(value)) => if *value { "yes" } else { "no" }.to_owned(),
        Some(Field::Mac(address)) => mac::text(*address),
        _ => String::new(),
    };
    let rows = lookup::about(&Wanted::parse(subject), &lore);
    rows.iter().map(|row| ["key", "value", "from"].map(|name| text(row.get(name)))).collect()
}

fn write_json(out: &mut Vec<u8>, subject: &str, told: &[Told], has_agent: bool) {
    out.extend_from_slice(b"{\"what\":");
    json::string(out, subject);
    out.extend_from_slice(if has_agent { b",\"agent\":true" } else { b",\"agent\":false" });
    out.extend_from_slice(b",\"known\":[");
    for (at, [key, value, from]) in told.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"{\"key\":" } else { b",{\"key\":" });
        json::string(out, key);
        out.extend_from_slice(b",\"value\":");
        json::string(out, value);
        out.extend_from_slice(b",\"from\":");
        json::string(out, from);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}\n");
}

/// Three columns, the last in brackets. What came from the network cannot command a terminal.
fn write_table(out: &mut Vec<u8>, told: &[Told]) {
    let width = told.iter().map(|[key, ..]| key.chars().count()).max().unwrap_or(0);
    for [key, value, from] in told {
        let key = plain(&key.replace('_', " "));
        let gap = width.saturating_sub(key.chars().count()).saturating_add(2);
        let line = [&key, &*" ".repeat(gap), &plain(value), "  (", &plain(from), ")\n"].concat();
        out.extend_from_slice(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_a_table_that_commands_nobody() {
        let told = [
            ["application", "net\u{1b}[2Jflix", "rule dom a_b.example"].map(str::to_owned),
            ["device_kind", "tv", "90 % sure: name\n\u{9b}x"].map(str::to_owned),
        ];
        let mut out = Vec::new();
        write_table(&mut out, &told);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "application  net?[2Jflix  (rule dom a_b.example)\n\
             device kind  tv  (90 % sure: name ?x)\n"
        );
    }

    #[test]
    fn without_an_agent_the_shipped_rules_answer() {
        let told = shipped("www.netflix.com");
        assert_eq!(told[0][..2], ["application", "netflix"]);
        assert!(shipped("no.such.name.example").is_empty());
        let mut out = Vec::new();
        write_json(&mut out, "a\"b", &told, false);
        let parsed: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(parsed["known"][0]["value"], "netflix");
        assert_eq!((&parsed["agent"], &parsed["what"]), (&Value::Bool(false), &"a\"b".into()));
    }
}
