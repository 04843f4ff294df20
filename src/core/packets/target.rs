//! The target description of capture clients: one element of the list of targets, as JSON. It is
//! read as Packetflix reads it: names in any case, unknown ones passed over, null for "not
//! given", and anything of another type refused.

use serde_json::{Map, Value};

use crate::text::Quoted;

use super::order::{Refused, Target};
use super::parameters::{MAX_INTERFACES, bad};

/// The longest name of an interface in Linux, in octets.
const MAX_NAME: usize = 15;

/// Reads a description.
///
/// # Errors
/// `Why::Bad` with the reason.
pub(super) fn parse(text: &str) -> Result<Target, Refused> {
    let value: Value =
        serde_json::from_slice(text.as_bytes()).map_err(|error| invalid(&error.to_string()))?;
    let members = match value {
        Value::Object(members) => members,
        Value::Null => Map::new(),
        _ => return Err(invalid("expected an object")),
    };
    let mut target = Target::default();
    for (name, value) in &members {
        let name = name.to_ascii_lowercase();
        match &*name {
            "netns" => {
                // No namespace has a number below zero: it is looked for and not found.
                target.netns =
                    whole(&name, value)?.map_or(0, |n| u64::try_from(n).unwrap_or(u64::MAX));
            }
            // Nor has any process one that does not fit.
            "pid" => {
                target.pid =
                    whole(&name, value)?.map_or(0, |n| u32::try_from(n).unwrap_or(u32::MAX))
            }
            "starttime" => {
                target.starttime = whole(&name, value)?.map_or(0, |n| u64::try_from(n).unwrap_or(0))
            }
            "name" => target.name = string(&name, value)?,
            "prefix" => target.prefix = string(&name, value)?,
            "type" => target.kind = string(&name, value)?,
            "node-name" => target.node = string(&name, value)?,
            "capture-service" => {
                string(&name, value)?;
            }
            "captureport"
                if whole(&name, value)?.is_some_and(|port| i32::try_from(port).is_err()) =>
            {
                return Err(wrong(&name, "a number of 32 bits"));
            }
            "cluster" => target.cluster = cluster(value)?,
            "network-interfaces" => target.interfaces = list(&name, value)?,
            _ => {}
        }
    }
    if target.is_own() {
        return Err(invalid("it names neither netns, pid nor name"));
    }
    Ok(target)
}

/// The interfaces that a list means; none for all of them.
///
/// # Errors
/// `Why::Bad` for names that no interface can have.
pub(super) fn interfaces(names: Vec<String>) -> Result<Vec<String>, Refused> {
    let all = |name: &String| name == "any" || name == "all";
    if names.first().is_none_or(String::is_empty) || names.iter().any(all) {
        return Ok(Vec::new());
    }
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        if name.is_empty() || kept.contains(&name) {
            continue;
        }
        let usable = |c: char| !c.is_control() && !c.is_whitespace() && c != '/' && c != ':';
        if name.len() > MAX_NAME || !name.chars().all(usable) {
            return Err(bad(format!("no interface can be called {}", Quoted(&name))));
        }
        if kept.len() >= MAX_INTERFACES {
            return Err(bad(format!("expected at most {MAX_INTERFACES} interfaces")));
        }
        kept.push(name);
    }
    Ok(kept)
}

fn invalid(reason: &str) -> Refused {
    bad(format!("invalid container/target description: {reason}"))
}

fn wrong(name: &str, expected: &str) -> Refused {
    invalid(&format!("{name}: expected {expected}"))
}

fn whole(name: &str, value: &Value) -> Result<Option<i64>, Refused> {
    match value {
        Value::Null => Ok(None),
        _ => value.as_i64().map(Some).ok_or_else(|| wrong(name, "a whole number of 64 bits")),
    }
}

fn string(name: &str, value: &Value) -> Result<String, Refused> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        _ => Err(wrong(name, "a string")),
    }
}

fn list(name: &str, value: &Value) -> Result<Vec<String>, Refused> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => {
            let names = items.iter().map(|item| string(name, item)).collect::<Result<_, _>>()?;
            interfaces(names)
        }
        _ => Err(wrong(name, "a list of strings")),
    }
}

/// The identifier of the cluster, which may be empty, if there is a cluster.
fn cluster(value: &Value) -> Result<Option<String>, Refused> {
    let members = match value {
        Value::Null => return Ok(None),
        Value::Object(members) => members,
        _ => return Err(wrong("cluster", "an object")),
    };
    let mut uid = String::new();
    for (name, value) in members {
        match &*name.to_ascii_lowercase() {
            "uid" => uid = string("cluster.uid", value)?,
            "context" => {
                string("cluster.context", value)?;
            }
            _ => {}
        }
    }
    Ok(Some(uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_as_clients_write_it() {
        let target = parse(
            r#"{"name":"n","type":"docker","netns":4026532246,"network-interfaces":["a0","b0"],
                "prefix":"p","starttime":77,"pid":5,"node-name":"r","captureport":5001,
                "cluster":{"context":"c","uid":"u"},"other":{"netns":1}}"#,
        )
        .unwrap();
        let expected = Target {
            netns: 4_026_532_246,
            pid: 5,
            starttime: 77,
            name: "n".to_owned(),
            prefix: "p".to_owned(),
            kind: "docker".to_owned(),
            node: "r".to_owned(),
            cluster: Some("u".to_owned()),
            interfaces: vec!["a0".to_owned(), "b0".to_owned()],
        };
        assert_eq!(target, expected);
        let any_case = parse(r#"{"NetNS":5,"Network-Interfaces":["x"],"PID":null}"#).unwrap();
        assert_eq!((any_case.netns, any_case.pid, &*any_case.interfaces[0]), (5, 0, "x"));
    }

    #[test]
    fn a_list_without_interfaces_means_all() {
        for list in ["null", "[]", r#"[""]"#, r#"["","a0"]"#, r#"["any"]"#, r#"["all"]"#, "[null]"]
        {
            let text = format!("{{\"netns\":5,\"network-interfaces\":{list}}}");
            assert!(parse(&text).unwrap().interfaces.is_empty(), "{list}");
        }
        assert_eq!(parse(r#"{"netns":5,"cluster":{}}"#).unwrap().cluster.as_deref(), Some(""));
        assert_eq!(parse(r#"{"netns":5,"cluster":null}"#).unwrap().cluster, None);
    }

    #[test]
    fn what_is_of_another_type_is_refused() {
        for text in [
            "",
            "x",
            "[]",
            "5",
            r#"{"netns":5"#,
            r#"{"netns":5} x"#,
            r#"{"netns":5}{}"#,
            r#"{"netns":"4026"}"#,
            r#"{"netns":5.0}"#,
            r#"{"netns":1e3}"#,
            r#"{"netns":9223372036854775808}"#,
            r#"{"netns":true}"#,
            r#"{"netns":5,"pid":"5"}"#,
            r#"{"netns":5,"starttime":[]}"#,
            r#"{"netns":5,"name":7}"#,
            r#"{"netns":5,"network-interfaces":"a0"}"#,
            r#"{"netns":5,"network-interfaces":[1]}"#,
            r#"{"netns":5,"network-interfaces":{"a":1}}"#,
            r#"{"netns":5,"network-interfaces":["an interface"]}"#,
            r#"{"netns":5,"cluster":"x"}"#,
            r#"{"netns":5,"cluster":{"uid":1}}"#,
            r#"{"netns":5,"captureport":99999999999}"#,
            "{}",
            "null",
        ] {
            let refused = parse(text).unwrap_err();
            assert_eq!(refused.text.lines().count(), 1, "{text}");
            let known = refused.text.starts_with("invalid container/target description: ");
            assert!(known || refused.text.starts_with("no interface"), "{text}: {refused}");
        }
    }

    #[test]
    fn numbers_that_nothing_has_are_looked_for_and_not_found() {
        let target = parse(r#"{"netns":-1,"pid":9999999999,"starttime":-3}"#).unwrap();
        assert_eq!((target.netns, target.pid, target.starttime), (u64::MAX, u32::MAX, 0));
    }
}
