//! The methods of the ubus object, made out of the table of commands: what they are called, what
//! they take, and whether they change anything. A command that is new in the table is a method.

use std::io::{self, Write};

use crate::core::auth::Right;
use crate::core::command::{Access, Entry, TABLE, Verb};
use crate::wire::json;

/// A method.
#[derive(Clone, Debug)]
pub struct Method {
    /// Its name on ubus.
    pub name: String,
    /// What carries it out.
    pub what: What,
    /// Its arguments by name, with what stands for their type in rpcd's signatures.
    pub arguments: Vec<(String, &'static str)>,
    /// It changes something, or shows what is inside packets: nothing for those who may only look.
    pub is_write: bool,
}

/// How a method is carried out.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// By the command of that name on the Unix socket.
    Command(&'static str, Verb),
    /// Where and how packets can be had.
    PacketCapture,
}

const TEXT: &str = "\"string\"";
const LIST: &str = "[]";
/// Stand for integers of 32 and 64 bits.
const NUMBER: &str = "32";
const LONG: &str = "64";

/// All methods.
#[must_use]
pub fn all() -> Vec<Method> {
    let mut methods = Vec::with_capacity(TABLE.len());
    for entry in TABLE {
        let Some(unix) = entry.unix.first() else { continue };
        let is_write = entry.access != Access::Read || entry.right > Right::Read;
        let mut add = |name: &str, arguments: Vec<(String, &'static str)>| {
            let what = What::Command(unix, entry.verb);
            methods.push(Method { name: name.to_owned(), what, arguments, is_write });
        };
        match entry.verb {
            // rpcd has signatures of its own, and no streams.
            Verb::Help | Verb::Subscribe => {}
            Verb::Capture => {
                add("capture_start", texts(&["dev", "filter"]));
                add("capture_stop", texts(&["id"]));
            }
            Verb::Packets => {
                let names = ["nif", "filter", "netns", "file", "count", "bytes", "duration"];
                add("session_start", texts(&names));
            }
            // It may show packets.
            Verb::Gremlin => {
                add("gremlin", texts(&["query"]));
                if let Some(method) = methods.last_mut() {
                    method.is_write = true;
                }
            }
            _ => add(&name(entry), arguments(entry)),
        }
    }
    methods.push(Method {
        name: "packet_capture".to_owned(),
        what: What::PacketCapture,
        arguments: Vec::new(),
        is_write: false,
    });
    methods
}

/// Writes what rpcd asks for when it starts: each method with its arguments.
///
/// # Errors
/// What the writer says.
pub fn list(out: &mut impl Write) -> io::Result<()> {
    let mut text = Vec::from(*b"{");
    for (at, method) in all().iter().enumerate() {
        text.extend_from_slice(if at == 0 { b"" } else { b"," });
        json::string(&mut text, &method.name);
        text.extend_from_slice(b":{");
        for (at, (name, example)) in method.arguments.iter().enumerate() {
            text.extend_from_slice(if at == 0 { b"" } else { b"," });
            json::string(&mut text, name);
            text.push(b':');
            text.extend_from_slice(example.as_bytes());
        }
        text.push(b'}');
    }
    text.extend_from_slice(b"}\n");
    out.write_all(&text)?;
    out.flush()
}

/// The name on the management port where there is one, else that on the Unix socket; the names of
/// groups are too long for either.
fn name(entry: &Entry) -> String {
    let name = match entry.verb {
        Verb::GroupAdd => "group_add",
        Verb::GroupFlush => "group_flush",
        Verb::GroupList => "groups",
        Verb::GroupLoad => "group_load",
        Verb::GroupLookup => "group_lookup",
        Verb::GroupMembers => "group_members",
        Verb::GroupRemove => "group_remove",
        Verb::GroupSave => "group_save",
        Verb::StopPackets => "session_stop",
        _ => entry.udp.first().or_else(|| entry.unix.first()).copied().unwrap_or_default(),
    };
    name.replace(['-', '.'], "_")
}

/// The arguments of a command, out of how its help shows them.
fn arguments(entry: &Entry) -> Vec<(String, &'static str)> {
    match entry.verb {
        Verb::Flush => return texts(&["what"]),
        Verb::Verbose => return vec![("level".to_owned(), NUMBER)],
        Verb::StopPackets => return vec![("id".to_owned(), LONG)],
        // The members of one group come by pages elsewhere.
        Verb::GroupList => return Vec::new(),
        _ => {}
    }
    let words = entry.args.split([' ', '[', ']']).filter(|word| !word.is_empty());
    let names = words.filter_map(|word| match word.split_once('=') {
        Some((name, _)) => Some(name),
        None => word.bytes().all(|b| b.is_ascii_alphabetic()).then_some(word),
    });
    names.map(|name| (name.to_ascii_lowercase(), kind(name))).collect()
}

fn kind(name: &str) -> &'static str {
    match name {
        "ID" | "id" | "after" => LONG,
        "n" | "level" | "process" => NUMBER,
        "data" => LIST,
        _ => TEXT,
    }
}

fn texts(names: &[&str]) -> Vec<(String, &'static str)> {
    names.iter().map(|name| ((*name).to_owned(), TEXT)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn names_are_fit_for_ubus_and_each_is_its_own() {
        let mut names: Vec<String> = all().into_iter().map(|method| method.name).collect();
        let fit = |name: &String| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(names.iter().all(fit), "{names:?}");
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_list_is_one_object_of_signatures() {
        let mut text = Vec::new();
        list(&mut text).unwrap();
        let list: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(list["status"], serde_json::json!({}));
        assert_eq!(
            list["top"],
            serde_json::json!({"by": "string", "of": "string", "where": "string", "n": 32})
        );
        assert_eq!(list["flow"], serde_json::json!({"id": 64, "process": 32}));
        assert_eq!(list["group_add"], serde_json::json!({"group": "string", "data": []}));
        assert_eq!(list["set"], serde_json::json!({"key": "string", "value": "string"}));
        assert_eq!(
            list["group_members"],
            serde_json::json!({"group": "string", "n": 32, "after": 64})
        );
        assert_eq!(list["verbose"], serde_json::json!({"level": 32}));
        assert_eq!(list["netns"], serde_json::json!({}));
    }

    #[test]
    fn every_command_of_the_unix_socket_that_ends_is_a_method() {
        let all = all();
        for entry in TABLE.iter().filter(|entry| !entry.unix.is_empty()) {
            let there =
                all.iter().any(|m| matches!(m.what, What::Command(_, verb) if verb == entry.verb));
            let streams = matches!(entry.verb, Verb::Help | Verb::Subscribe);
            assert_eq!(there, !streams, "{:?}", entry.verb);
        }
    }

    /// The methods that an ACL file names, readers' and writers'.
    fn granted(text: &str, part: &str) -> Vec<String> {
        let acl: Value = serde_json::from_str(text).unwrap();
        let group = acl.as_object().unwrap().values().next().unwrap();
        let list = group[part]["ubus"]["portolan"].as_array().unwrap();
        let mut names: Vec<String> = list.iter().map(|n| n.as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn access_lists_cover_each_method_once_and_readers_change_nothing() {
        let named = |is_write: bool| {
            let all = all().into_iter().filter(|method| method.is_write == is_write);
            let mut names: Vec<String> = all.map(|method| method.name).collect();
            names.sort();
            names
        };
        let text = include_str!("../../../openwrt/portolan/files/portolan.acl");
        assert_eq!(granted(text, "read"), named(false));
        assert_eq!(granted(text, "write"), named(true));
        let text = include_str!(
            "../../../openwrt/luci-app-portolan/root/usr/share/rpcd/acl.d/luci-app-portolan.json"
        );
        for (part, is_write) in [("read", false), ("write", true)] {
            let there = named(is_write);
            let page = granted(text, part);
            assert!(page.iter().all(|name| there.contains(name)), "{part}: {page:?}");
        }
    }
}
