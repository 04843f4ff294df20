//! The members of a JSON object that a client sent, found as Skydive's decoder finds them: by
//! exact name or, failing that, by name in any case. Unknown members are left alone.

use serde_json::Value as Json;

use crate::topology::value::{Map, Value};

/// The longest text taken: names, descriptions, expressions, payloads.
pub const MAX_TEXT: usize = 8_192;

/// The members of an object.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a>(&'a serde_json::Map<String, Json>);

impl<'a> Members<'a> {
    /// The members of a value.
    ///
    /// # Errors
    /// If it is no object.
    pub fn of(value: &'a Json) -> Result<Self, String> {
        value.as_object().map(Self).ok_or_else(|| "a JSON object is expected".to_owned())
    }

    /// The value of that name, unless it is null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a Json> {
        let exact = self.0.get(name);
        let same = |(key, value)| {
            let key: &String = key;
            key.eq_ignore_ascii_case(name).then_some(value)
        };
        exact.or_else(|| self.0.iter().find_map(same)).filter(|value| !value.is_null())
    }

    /// A text, empty if it is missing.
    ///
    /// # Errors
    /// `Name: …` if it is something else, or longer than [`MAX_TEXT`].
    pub fn text(&self, name: &str) -> Result<String, String> {
        match self.get(name) {
            None => Ok(String::new()),
            Some(Json::String(text)) if text.len() <= MAX_TEXT => Ok(text.clone()),
            Some(Json::String(_)) => Err(format!("{name}: longer than {MAX_TEXT} octets")),
            Some(_) => Err(format!("{name}: a text is expected")),
        }
    }

    /// A whole number, 0 if it is missing.
    ///
    /// # Errors
    /// `Name: …` if it is something else.
    pub fn int(&self, name: &str) -> Result<i64, String> {
        match self.get(name) {
            None => Ok(0),
            Some(value) => {
                value.as_i64().ok_or_else(|| format!("{name}: a whole number is expected"))
            }
        }
    }

    /// A whole number within bounds, 0 if it is missing.
    ///
    /// # Errors
    /// `Name: …` if it is something else or out of bounds.
    pub fn within(&self, name: &str, least: i64, most: i64) -> Result<i64, String> {
        let value = self.int(name)?;
        if value < least || value > most {
            return Err(format!("{name}: a number from {least} to {most} is expected"));
        }
        Ok(value)
    }

    /// A truth value, false if it is missing.
    ///
    /// # Errors
    /// `Name: …` if it is something else.
    pub fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(false),
            Some(value) => {
                value.as_bool().ok_or_else(|| format!("{name}: true or false is expected"))
            }
        }
    }

    /// Named values, none if they are missing. A name with dots stands for maps in maps.
    ///
    /// # Errors
    /// `Name: …` if it is something else.
    pub fn map(&self, name: &str) -> Result<Map, String> {
        let mut map = Map::new();
        match self.get(name) {
            None => {}
            Some(Json::Object(members)) => {
                for (key, value) in members {
                    map.set_path(key, Value::of_json(value));
                }
            }
            Some(_) => return Err(format!("{name}: an object is expected")),
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_in_any_case_the_exact_one_first() {
        let json = serde_json::json!({
            "gremlinquery": "a", "GremlinQuery": "b", "count": 3, "IPDEFRAG": true, "x": null,
            "Metadata": {"a.b": 1, "c": {"d": []}}
        });
        let members = Members::of(&json).unwrap();
        assert_eq!(members.text("GremlinQuery").unwrap(), "b");
        assert_eq!(members.int("Count"), Ok(3));
        assert_eq!(members.flag("IPDefrag"), Ok(true));
        assert_eq!((members.text("X"), members.int("Y")), (Ok(String::new()), Ok(0)));
        let map = members.map("Metadata").unwrap();
        let mut out = Vec::new();
        map.write(&mut out);
        assert_eq!(out, br#"{"a":{"b":1},"c":{"d":[]}}"#);
    }

    #[test]
    fn a_wrong_kind_names_the_member() {
        let json = serde_json::json!({"A": 1, "B": "x", "C": 1.5});
        let members = Members::of(&json).unwrap();
        assert!(members.text("A").unwrap_err().starts_with("A: "));
        assert!(members.flag("B").unwrap_err().starts_with("B: "));
        assert!(members.int("C").unwrap_err().starts_with("C: "));
        assert!(members.within("A", 2, 3).unwrap_err().contains("from 2 to 3"));
        assert!(Members::of(&serde_json::json!([])).is_err());
    }
}
