//! The `portolan` command.

use std::io::Write as _;
use std::path::Path;

use portolan::cli::args::{self, Parsed, Sub};
use portolan::cli::{agent, capture, ctl, exit, lookup, print, query, read, rpcd};
use portolan::sys::heap::Counted;

#[global_allocator]
static HEAP: Counted = Counted;

fn main() {
    let mut given = std::env::args_os();
    let is_plugin = given.next().is_some_and(|name| rpcd::is_called(Path::new(&name)));
    let mut words: Vec<String> = given.map(|word| word.to_string_lossy().into_owned()).collect();
    if is_plugin {
        words.insert(0, "rpcd".to_owned());
    }
    let code = match args::parse(&words) {
        Parsed::Run(arguments) => match &arguments.command {
            Some(Sub::Read(arguments)) => read::run(arguments),
            Some(Sub::Ctl(arguments)) => ctl::run(arguments),
            Some(Sub::Lookup(arguments)) => lookup::run(arguments),
            Some(Sub::Query(arguments)) => query::run(arguments),
            Some(Sub::Capture(arguments)) => capture::run(arguments),
            Some(Sub::Rpcd(arguments)) => rpcd::run(arguments),
            None => agent::run(&arguments),
        },
        Parsed::Say(text) => print(&text),
        Parsed::Refuse(text) => {
            let _ = writeln!(std::io::stderr(), "{text}");
            exit::USAGE
        }
    };
    std::process::exit(code);
}
