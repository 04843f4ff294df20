//! JSON Patch (RFC 6902): changes to a document, all or none.

use serde_json::Value as Json;

/// Operations in one patch.
pub const MAX_OPERATIONS: usize = 256;

/// Applies a patch to a copy of a document.
///
/// # Errors
/// The operation that cannot be carried out, and why.
pub fn apply(document: &Json, patch: &Json) -> Result<Json, String> {
    let operations = patch.as_array().ok_or("a list of operations is expected")?;
    if operations.len() > MAX_OPERATIONS {
        return Err(format!("more than {MAX_OPERATIONS} operations"));
    }
    let mut document = document.clone();
    for (at, operation) in operations.iter().enumerate() {
        one(&mut document, operation).map_err(|why| format!("operation {at}: {why}"))?;
    }
    Ok(document)
}

fn one(document: &mut Json, operation: &Json) -> Result<(), String> {
    let text = |name: &str| operation.get(name).and_then(Json::as_str);
    let path = text("path").ok_or("path is missing")?;
    let from = || text("from").ok_or_else(|| "from is missing".to_owned());
    let value = || operation.get("value").cloned().ok_or_else(|| "value is missing".to_owned());
    match text("op").unwrap_or("") {
        "add" => add(document, path, value()?),
        "remove" => remove(document, path).map(drop),
        "replace" => {
            let place = document.pointer_mut(path).ok_or_else(|| missing(path))?;
            *place = value()?;
            Ok(())
        }
        "move" => {
            let from = from()?;
            if path.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
                return Err(format!("{from} cannot move into itself"));
            }
            let value = remove(document, from)?;
            add(document, path, value)
        }
        "copy" => {
            let from = from()?;
            let value = document.pointer(from).cloned().ok_or_else(|| missing(from))?;
            add(document, path, value)
        }
        "test" if document.pointer(path) == Some(&value()?) => Ok(()),
        "test" => Err(format!("{path} is not what was tested for")),
        _ => Err("op must be add, remove, replace, move, copy or test".to_owned()),
    }
}

fn add(document: &mut Json, path: &str, value: Json) -> Result<(), String> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let (parent, key) = place(document, path)?;
    match parent {
        Json::Object(members) => {
            members.insert(key, value);
        }
        Json::Array(items) if key == "-" => items.push(value),
        Json::Array(items) => {
            let at = index(&key).filter(|at| *at <= items.len()).ok_or_else(|| missing(path))?;
            items.insert(at, value);
        }
        _ => return Err(missing(path)),
    }
    Ok(())
}

fn remove(document: &mut Json, path: &str) -> Result<Json, String> {
    let (parent, key) = place(document, path)?;
    let removed = match parent {
        Json::Object(members) => members.remove(&key),
        Json::Array(items) => index(&key).filter(|at| *at < items.len()).map(|at| items.remove(at)),
        _ => None,
    };
    removed.ok_or_else(|| missing(path))
}

/// What holds the place that a pointer (RFC 6901) names, and its key there.
fn place<'a>(document: &'a mut Json, path: &str) -> Result<(&'a mut Json, String), String> {
    let (parent, key) = path.rsplit_once('/').ok_or_else(|| missing(path))?;
    let parent = document.pointer_mut(parent).ok_or_else(|| missing(path))?;
    Ok((parent, key.replace("~1", "/").replace("~0", "~")))
}

/// The place in a list: digits without leading zeros.
fn index(key: &str) -> Option<usize> {
    let plain = key.bytes().all(|b| b.is_ascii_digit()) && (key == "0" || !key.starts_with('0'));
    key.parse().ok().filter(|_| plain)
}

fn missing(path: &str) -> String {
    format!("there is no {path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operations_do_what_the_standard_says() {
        // The examples of RFC 6902, appendix A.
        for (document, patch, expected) in [
            (
                json!({"foo": "bar"}),
                json!([{"op": "add", "path": "/baz", "value": "qux"}]),
                Some(json!({"baz": "qux", "foo": "bar"})),
            ),
            (
                json!({"foo": ["bar", "baz"]}),
                json!([{"op": "add", "path": "/foo/1", "value": "qux"}]),
                Some(json!({"foo": ["bar", "qux", "baz"]})),
            ),
            (
                json!({"baz": "qux", "foo": "bar"}),
                json!([{"op": "remove", "path": "/baz"}]),
                Some(json!({"foo": "bar"})),
            ),
            (
                json!({"foo": ["bar", "qux", "baz"]}),
                json!([{"op": "remove", "path": "/foo/1"}]),
                Some(json!({"foo": ["bar", "baz"]})),
            ),
            (
                json!({"baz": "qux"}),
                json!([{"op": "replace", "path": "/baz", "value": 1}]),
                Some(json!({"baz": 1})),
            ),
            (
                json!({"foo": {"bar": 1, "waldo": 2}, "qux": {}}),
                json!([{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]),
                Some(json!({"foo": {"bar": 1}, "qux": {"thud": 2}})),
            ),
            (
                json!({"foo": ["all", "grass", "cows", "eat"]}),
                json!([{"op": "move", "from": "/foo/1", "path": "/foo/3"}]),
                Some(json!({"foo": ["all", "cows", "eat", "grass"]})),
            ),
            (json!({"baz": "qux"}), json!([{"op": "test", "path": "/baz", "value": "bar"}]), None),
            (
                json!({"foo": "bar"}),
                json!([{"op": "add", "path": "/baz/bat", "value": "qux"}]),
                None,
            ),
            (
                json!({"/": 9, "~1": 10}),
                json!([{"op": "test", "path": "/~01", "value": 10}]),
                Some(json!({"/": 9, "~1": 10})),
            ),
            (
                json!({"foo": ["bar"]}),
                json!([{"op": "add", "path": "/foo/-", "value": ["abc"]}]),
                Some(json!({"foo": ["bar", ["abc"]]})),
            ),
            (json!({"a": {}}), json!([{"op": "move", "from": "/a", "path": "/a/b"}]), None),
            (
                json!({"a": 1}),
                json!([{"op": "copy", "from": "/a", "path": "/b"}]),
                Some(json!({"a": 1, "b": 1})),
            ),
            (json!([1]), json!([{"op": "add", "path": "/01", "value": 2}]), None),
            (json!({}), json!([{"op": "x", "path": "/a"}]), None),
            (json!({}), json!({}), None),
        ] {
            assert_eq!(apply(&document, &patch).ok(), expected, "{patch}");
        }
    }

    #[test]
    fn one_bad_operation_undoes_all() {
        let document = json!({"a": 1});
        let patch = json!([{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/a"}]);
        assert_eq!(apply(&document, &patch).unwrap_err(), "operation 1: there is no /a");
        assert_eq!(document, json!({"a": 1}));
    }
}
