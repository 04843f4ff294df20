//! The `portolan` command.

use std::io::Write as _;

use portolan::cli::args::{self, Parsed, Sub};
use portolan::cli::{agent, capture, ctl, exit, print, query, read};
use portolan::sys::heap::Counted;

#[global_allocator]
static HEAP: Counted = Counted;

fn main() {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let code = match args::parse(&words) {
        Parsed::Run(arguments) => match &arguments.command {
            Some(Sub::Read(arguments)) => read::run(arguments),
            Some(Sub::Ctl(arguments)) => ctl::run(arguments),
            Some(Sub::Query(arguments)) => query::run(arguments),
            Some(Sub::Capture(arguments)) => capture::run(arguments),
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
