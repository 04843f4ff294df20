//! The ubus object `portolan` of OpenWrt, without a library of ubus: rpcd runs this program under
//! the name `…/rpcd/portolan` with `list`, or with `call METHOD` and the arguments as JSON on
//! standard input, and takes one JSON object from standard output (rpcd's plugin.c). Each call is
//! translated into requests to the running agent's Unix socket.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use serde_json::{Map, Value};

use crate::text::Quoted;
use crate::wire::json;

use super::args::Rpcd;
use super::exit;

mod answer;
mod client;
pub mod methods;

use methods::{Method, What};

/// The most octets of arguments.
const MAX_ARGUMENTS: usize = 256 * 1024;

/// Where the agent answers unless said otherwise.
const SOCKET: &str = "/var/run/portolan/portolan.sock";

/// Whether a program of this name is run by rpcd.
#[must_use]
pub fn is_called(program: &Path) -> bool {
    program.ends_with("rpcd/portolan")
}

/// Runs the sub-command and returns the exit code. What goes wrong in a call is part of its
/// answer: of a plugin that fails rpcd passes nothing on.
#[must_use]
pub fn run(rpcd: &Rpcd) -> i32 {
    let words: Vec<&str> = rpcd.words.iter().map(String::as_str).collect();
    let mut out = io::stdout().lock();
    let written = match words.as_slice() {
        ["list"] => methods::list(&mut out),
        ["call", method] => {
            let answer = match call(method, &socket(rpcd.socket.as_deref())) {
                Ok(answer) => answer,
                Err(text) => Map::from_iter([("error".to_owned(), Value::String(text))]),
            };
            let mut text = json::for_people(&json::text(&Value::Object(answer)));
            text.push('\n');
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        }
        _ => {
            complain!("portolan: portolan rpcd list, or portolan rpcd call METHOD");
            return exit::USAGE;
        }
    };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain!("portolan: standard output: {error}");
            exit::FAILED
        }
        _ => exit::OK,
    }
}

/// The path of the agent's Unix socket: as given, from the environment, or the usual one.
fn socket(given: Option<&str>) -> String {
    let of = |name: &str| std::env::var(name).ok().filter(|path| !path.is_empty());
    let found = given
        .map(str::to_owned)
        .or_else(|| of("PORTOLAN_SOCKET"))
        // Of the setting's several paths the first.
        .or_else(|| of("PORTOLAN_API_SOCKET")?.split(' ').next().map(str::to_owned));
    found.unwrap_or_else(|| SOCKET.to_owned())
}

fn call(name: &str, socket: &str) -> Result<Map<String, Value>, String> {
    let methods = methods::all();
    let Some(method) = methods.iter().find(|method| method.name == name) else {
        return Err(format!("there is no method {}: portolan rpcd list shows all", Quoted(name)));
    };
    let arguments = checked(method, arguments()?)?;
    let agent = client::Client::new(socket);
    match method.what {
        What::Command(unix, verb) => answer::of_command(&agent, unix, verb, method, arguments),
        What::PacketCapture => answer::packet_capture(&agent),
    }
}

/// The arguments on standard input; none if a person is sitting there.
fn arguments() -> Result<Map<String, Value>, String> {
    let mut text = Vec::new();
    if !io::stdin().is_terminal() {
        let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
        let most = u64::try_from(MAX_ARGUMENTS).unwrap_or(u64::MAX).saturating_add(1);
        let read = input.and_then(|input| input.take(most).read_to_end(&mut text));
        read.map_err(|error| format!("standard input: {error}"))?;
    }
    parsed(&text)
}

fn parsed(text: &[u8]) -> Result<Map<String, Value>, String> {
    if text.len() > MAX_ARGUMENTS {
        return Err(format!("the arguments are longer than {} KiB", MAX_ARGUMENTS / 1_024));
    }
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err("the arguments are no JSON object: give {} for none".to_owned()),
        Err(error) => Err(format!("the arguments are no JSON: {error}")),
    }
}

/// The arguments that the method knows; others are refused rather than passed over, but for the
/// session that LuCI's calls carry.
fn checked(method: &Method, mut given: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let _ = given.remove("ubus_rpc_session");
    given.retain(|_, value| !value.is_null());
    let known = |name: &String| method.arguments.iter().any(|(known, _)| known == name);
    let Some(stranger) = given.keys().find(|name| !known(name)) else { return Ok(given) };
    let names: Vec<&str> = method.arguments.iter().map(|(name, _)| name.as_str()).collect();
    let takes = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    Err(format!("no argument is called {}: {} takes {takes}", Quoted(stranger), method.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rpcd_is_told_by_the_name_of_the_program() {
        assert!(is_called(Path::new("/usr/libexec/rpcd/portolan")));
        assert!(is_called(Path::new("rpcd/portolan")));
        for other in ["/usr/sbin/portolan", "portolan", "/usr/libexec/rpcd/portolan.sh", "/rpcd"] {
            assert!(!is_called(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn arguments_are_an_object_or_nothing() {
        assert_eq!(parsed(b" \n"), Ok(Map::new()));
        assert_eq!(parsed(b"{\"n\":1}").unwrap().len(), 1);
        for wrong in [&b"[]"[..], b"1", b"{", b"\xff", b"{}{}", b"{\"a\":\"\xff\"}"] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        assert!(parsed(&[b'['; 100_000]).is_err());
        assert!(parsed(&vec![b' '; MAX_ARGUMENTS + 1]).is_err());
    }

    #[test]
    fn strange_arguments_are_refused_by_name() {
        let methods = methods::all();
        let flow = methods.iter().find(|method| method.name == "flow").unwrap();
        let given = |text: &str| checked(flow, parsed(text.as_bytes()).unwrap());
        assert_eq!(given(r#"{"ubus_rpc_session":"0","id":7,"x":null}"#).unwrap().len(), 1);
        let error = given(r#"{"id":7,"command":"restart"}"#).unwrap_err();
        assert_eq!(error, "no argument is called \"command\": flow takes id, process");
    }
}
