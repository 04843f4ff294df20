//! Rules of the user that add nodes and edges, or say more of those that are there.

use crate::query::Query;
use crate::topology::value::Map;

use super::members::Members;

/// A rule about nodes.
#[derive(Clone, Debug)]
pub struct NodeRule {
    /// What the user calls it.
    pub name: String,
    /// What the user says of it.
    pub description: String,
    /// The metadata of the new node, or what is said of those that match.
    pub metadata: Map,
    /// Which nodes it is said of; `None` makes a node.
    pub update: Option<Query>,
    query_text: String,
}

/// A rule about edges: links each node of one expression to each of another.
#[derive(Clone, Debug)]
pub struct EdgeRule {
    /// What the user calls it.
    pub name: String,
    /// What the user says of it.
    pub description: String,
    /// Where the edges lead from.
    pub src: Query,
    /// Where they lead to.
    pub dst: Query,
    /// The metadata of the edges, `RelationType` among it.
    pub metadata: Map,
}

impl NodeRule {
    /// Reads and checks what a client sent.
    ///
    /// # Errors
    /// The member and what is wrong with it.
    pub fn parse(members: &Members<'_>) -> Result<Self, String> {
        let metadata = members.map("Metadata")?;
        let query_text = members.text("Query")?;
        let update = match members.text("Action")?.to_ascii_lowercase().as_str() {
            "create" => {
                check_node(&metadata)?;
                None
            }
            "update" => {
                if ["Name", "Type"].iter().any(|key| metadata.get(key).is_some()) {
                    return Err("Name and Type fields can not be changed".to_owned());
                }
                if metadata.get("TID").is_some() {
                    return Err("TID: is made by the agent".to_owned());
                }
                Some(super::expression("Query", &query_text)?)
            }
            _ => return Err("Action: create or update is expected".to_owned()),
        };
        let (name, description) = (members.text("Name")?, members.text("Description")?);
        Ok(Self { name, description, metadata, update, query_text })
    }

    /// Its members as they are shown.
    #[must_use]
    pub fn members(&self) -> Map {
        let action = if self.update.is_some() { "update" } else { "create" };
        named(&self.name, &self.description)
            .with("Metadata", self.metadata.clone())
            .with("Action", action)
            .with("Query", self.query_text.as_str())
    }
}

impl EdgeRule {
    /// Reads and checks what a client sent.
    ///
    /// # Errors
    /// The member and what is wrong with it.
    pub fn parse(members: &Members<'_>) -> Result<Self, String> {
        let metadata = members.map("Metadata")?;
        check_edge(&metadata)?;
        Ok(Self {
            name: members.text("Name")?,
            description: members.text("Description")?,
            src: super::expression("Src", &members.text("Src")?)?,
            dst: super::expression("Dst", &members.text("Dst")?)?,
            metadata,
        })
    }

    /// Its members as they are shown.
    #[must_use]
    pub fn members(&self) -> Map {
        named(&self.name, &self.description)
            .with("Src", self.src.text())
            .with("Dst", self.dst.text())
            .with("Metadata", self.metadata.clone())
    }
}

/// Checks the metadata of a node that a client makes.
///
/// # Errors
/// The member and what is wrong with it.
pub fn check_node(metadata: &Map) -> Result<(), String> {
    let missing = |key: &str| metadata.text(key).is_none_or(str::is_empty);
    let further = match metadata.text("Type") {
        Some("netns") => Some("Path"),
        Some("ovsport") => Some("UUID"),
        _ => None,
    };
    match ["Type", "Name"].into_iter().chain(further).find(|key| missing(key)) {
        Some(key) => Err(format!("Metadata: {key} is missing")),
        None => Ok(()),
    }
}

/// Checks the metadata of an edge that a client makes.
///
/// # Errors
/// The member and what is wrong with it.
pub fn check_edge(metadata: &Map) -> Result<(), String> {
    if metadata.text("RelationType").is_none_or(str::is_empty) {
        return Err("Metadata: RelationType is missing".to_owned());
    }
    Ok(())
}

fn named(name: &str, description: &str) -> Map {
    Map::new().with("Name", name).with("Description", description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_say_what_is_missing() {
        let rule = |json| NodeRule::parse(&Members::of(&json).unwrap()).map(|rule| rule.members());
        assert!(rule(json!({"Action": "create", "Metadata": {"Name": "a", "Type": "x"}})).is_ok());
        for (json, text) in [
            (json!({"Action": "create", "Metadata": {"Name": "a"}}), "Type is missing"),
            (json!({"Action": "create", "Metadata": {"Name": "", "Type": "x"}}), "Name is missing"),
            (json!({"Action": "create", "Metadata": {"Name": "a", "Type": "netns"}}), "Path is"),
            (json!({"Action": "x"}), "Action: "),
            (
                json!({"Action": "update", "Metadata": {"Name": "b"}, "Query": "G.V()"}),
                "Name and Type fields can not be changed",
            ),
            (json!({"Action": "update", "Metadata": {"a": 1}, "Query": ""}), "Query: "),
        ] {
            let refusal = rule(json.clone()).unwrap_err();
            assert!(refusal.contains(text), "{json}: {refusal}");
        }
        let edge = json!({"Src": "G.V()", "Dst": "G.V()", "Metadata": {"RelationType": "l"}});
        assert!(EdgeRule::parse(&Members::of(&edge).unwrap()).is_ok());
        let bare = json!({"Src": "G.V()", "Dst": "G.V()", "Metadata": {}});
        assert!(EdgeRule::parse(&Members::of(&bare).unwrap()).is_err());
    }
}
