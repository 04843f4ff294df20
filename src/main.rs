//! The `portolan` command.

use portolan::cli::args::{self, Parsed, Sub};
use portolan::cli::{agent, ctl, exit, read};
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
            None => agent::run(&arguments),
        },
        Parsed::Say(text) => {
            println!("{}", text.trim_end());
            exit::OK
        }
        Parsed::Refuse(text) => {
            eprintln!("{text}");
            exit::USAGE
        }
    };
    std::process::exit(code);
}
