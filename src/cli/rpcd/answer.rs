//! Answers of a size that rpcd passes on. Long tables are asked for by pages until they are
//! complete, or as many as were wanted, or no further page fits: then `more` is true and `next`
//! is what goes into `after`.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::api::unix::reply;
use crate::core::command::{TABLE, Verb};
use crate::core::packets::parameters;

use super::client::{Client, Error};
use super::methods::Method;

/// Octets of rows in one answer: with what stands around them below the 256 KiB that rpcd takes.
pub(super) const MAX_ROWS_OCTETS: usize = 240 * 1024;

/// Rows that are asked for at once.
const PAGE: u64 = 200;

/// The answer of a command.
pub(super) fn of_command(
    agent: &Client<'_>,
    unix: &str,
    verb: Verb,
    method: &Method,
    mut arguments: Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut say = |name: &str, value: &str| arguments.insert(name.to_owned(), value.into());
    match method.name.as_str() {
        "capture_start" => drop(say("action", "start")),
        "capture_stop" => drop(say("action", "stop")),
        _ => {}
    }
    match verb {
        Verb::Gremlin => {
            let query = arguments.remove("query");
            arguments.extend(query.map(|query| ("data".to_owned(), query)));
        }
        // Without a file they would come as a stream.
        Verb::Packets if !matches!(arguments.get("file"), Some(Value::String(f)) if !f.is_empty()) =>
        {
            return Err("file: expected the name of a file, as in evening.pcapng".to_owned());
        }
        _ => {}
    }
    arguments.insert("command".to_owned(), unix.into());
    let paged = method.arguments.iter().any(|(name, _)| name == "after");
    if paged {
        return Ok(pages(agent, reply::rows(verb, false), arguments)?);
    }
    match agent.ask(arguments)? {
        Value::Object(mut data) => {
            // One member with rows is all that can be long.
            let longest = data.iter_mut().filter_map(|(_, value)| value.as_array_mut());
            let cut = longest.max_by_key(|rows| rows.len()).map_or(0, cut);
            if cut > 0 {
                data.insert("more".to_owned(), true.into());
                data.insert("cut".to_owned(), cut.into());
            }
            fits(data)
        }
        other => {
            let mut data = Map::new();
            let mut other = other;
            let cut = other.as_array_mut().map_or(0, cut);
            data.insert("result".to_owned(), other);
            if cut > 0 {
                data.insert("more".to_owned(), true.into());
                data.insert("cut".to_owned(), cut.into());
            }
            fits(data)
        }
    }
}

fn fits(mut data: Map<String, Value>) -> Result<Map<String, Value>, String> {
    data.retain(|_, value| !value.is_null());
    if octets(&data) > MAX_ROWS_OCTETS { Err(Error::TooLong.into()) } else { Ok(data) }
}

/// Takes away the rows at the end that do not fit, and says how many.
fn cut(rows: &mut Vec<Value>) -> usize {
    let mut left = MAX_ROWS_OCTETS;
    let keep = rows.iter().take_while(|row| {
        let octets = octets(row).saturating_add(1);
        let fits = octets <= left;
        left = left.saturating_sub(octets);
        fits
    });
    let keep = keep.count();
    let cut = rows.len().saturating_sub(keep);
    rows.truncate(keep);
    cut
}

pub(super) fn octets(value: &impl serde_core::Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |text| text.len())
}

/// Asks for a table page by page. Without `n` it is one page of the agent's own choice.
pub(super) fn pages(
    agent: &Client<'_>,
    name: &str,
    mut request: Map<String, Value>,
) -> Result<Map<String, Value>, Error> {
    let mut wanted = match request.remove("n") {
        None => None,
        Some(n) => Some(number(&n).filter(|n| *n > 0).ok_or_else(|| {
            Error::Said("invalid n: expected a whole number from 1 on".to_owned())
        })?),
    };
    let mut whole = Map::new();
    let mut rows: Vec<Value> = Vec::new();
    let mut room = MAX_ROWS_OCTETS;
    let mut most = PAGE;
    loop {
        let mut page = request.clone();
        let asked = wanted.map(|wanted| wanted.min(most));
        // The first page tells the agent's own choice; it is cut only if it does not fit.
        let asked = asked.or_else(|| (most < PAGE).then_some(most));
        page.extend(asked.map(|n| ("n".to_owned(), n.into())));
        let answer = match agent.ask(page) {
            Ok(Value::Object(answer)) => Some(answer),
            Ok(_) => return Err(Error::Said("the agent's answer has no rows".to_owned())),
            Err(Error::TooLong) => None,
            Err(said) => return Err(said),
        };
        let fitting =
            answer.filter(|answer| answer.get(name).is_none_or(|rows| octets(rows) <= room));
        let Some(mut answer) = fitting else {
            if most > 1 {
                most /= 2;
                continue;
            }
            if rows.is_empty() {
                return Err(Error::TooLong);
            }
            // What is here goes; the rest begins where it ends.
            let after = request.remove("after").unwrap_or_default();
            whole.insert("more".to_owned(), true.into());
            whole.insert("next".to_owned(), after);
            break;
        };
        let Some(Value::Array(found)) = answer.remove(name) else {
            return Err(Error::Said("the agent's answer has no rows".to_owned()));
        };
        room = room.saturating_sub(octets(&found));
        wanted = wanted.map(|n| n.saturating_sub(found.len() as u64));
        rows.extend(found);
        let next = answer.get("next").filter(|next| !next.is_null()).cloned();
        whole = answer;
        match (next, wanted) {
            (Some(next), Some(1..)) => drop(request.insert("after".to_owned(), next)),
            _ => break,
        }
    }
    whole.insert("total".to_owned(), rows.len().into());
    whole.insert(name.to_owned(), Value::Array(rows));
    whole.retain(|_, value| !value.is_null());
    Ok(whole)
}

/// A whole number, or the text of one.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Where and how packets can be had: over HTTP where it is answered, by `ssh` always.
pub(super) fn packet_capture(agent: &Client<'_>) -> Result<Map<String, Value>, String> {
    let name = TABLE.iter().find(|entry| entry.verb == Verb::Settings);
    let name = name.and_then(|entry| entry.unix.first()).copied().unwrap_or_default();
    let data = agent.ask(Map::from_iter([("command".to_owned(), name.into())]))?;
    let rows = data.get(reply::rows(Verb::Settings, false)).and_then(Value::as_array);
    let setting = |key: &str| -> String {
        let mut rows = rows.into_iter().flatten();
        let row = rows.find(|row| row.get("key").and_then(Value::as_str) == Some(key));
        row.and_then(|row| row.get("value")?.as_str()).unwrap_or_default().to_owned()
    };
    let number = |key: &str| setting(key).parse::<u64>().unwrap_or(0);
    let http = setting("http");
    let doors: Vec<Value> = http
        .split_whitespace()
        .filter_map(|address| address.parse::<SocketAddr>().ok())
        .map(|at| {
            json!({
                "address": at.ip().to_string(),
                "port": at.port(),
                "any": at.ip().is_unspecified(),
                "local": at.ip().is_loopback(),
            })
        })
        .collect();
    let answer = json!({
        "http": doors,
        "path": "/capture.pcapng",
        "parameters": parameters::NAMES,
        "command": "portolan capture -i NAME -w -",
        "sessions": number("packet_sessions"),
        "ring_kib": number("packet_ring_kib"),
        "lookback_kib": number("lookback_kib"),
        "dir": setting("packet_dir"),
        "pcap_over_ip": setting("pcap_over_ip"),
    });
    match answer {
        Value::Object(answer) => Ok(answer),
        _ => Ok(Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_do_not_fit_are_cut_and_counted() {
        let mut rows: Vec<Value> = vec![Value::String("x".repeat(1_000)); 400];
        let gone = cut(&mut rows);
        assert!(octets(&rows) <= MAX_ROWS_OCTETS, "{}", octets(&rows));
        assert!(gone > 0 && rows.len() + gone == 400, "{gone}");
        assert_eq!(cut(&mut vec![Value::Null; 10]), 0);
    }

    #[test]
    fn counts_come_as_numbers_or_as_texts() {
        assert_eq!(number(&json!(7)), Some(7));
        assert_eq!(number(&json!("7")), Some(7));
        for wrong in [json!(-1), json!("x"), json!(1.5), json!([1]), json!(true)] {
            assert_eq!(number(&wrong), None, "{wrong}");
        }
    }
}
