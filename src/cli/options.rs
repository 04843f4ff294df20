//! How words of the command line get into the fields of a command, and its help. What options there
//! are is said in `args`, by `command!`: the comment of a field is its help.

use std::fmt::Display;
use std::str::FromStr;

/// Columns of a line of help, and where its second column begins.
const WIDTH: usize = 80;
const INDENT: usize = 20;

/// A command: the agent itself has no word.
pub(super) struct Manual {
    pub word: &'static str,
    pub about: &'static [&'static str],
    /// In the order of the fields: the names of an option, or the one name, without a dash, of the
    /// words that are none; and what it is for.
    pub options: &'static [(&'static [&'static str], &'static [&'static str])],
    /// `{}` stands for how the command is called.
    pub examples: &'static [&'static str],
    pub notes: &'static [&'static str],
    pub codes: &'static [(u8, &'static str)],
    /// From its first word on everything is one, also what looks like an option.
    pub is_greedy: bool,
    pub commands: &'static [Self],
}

impl Manual {
    pub(super) const NONE: Self = Self {
        word: "",
        about: &[],
        options: &[],
        examples: &[],
        notes: &[],
        codes: &[],
        is_greedy: false,
        commands: &[],
    };
}

/// Where words go.
pub(super) trait Command: Default {
    const MANUAL: Manual;

    /// In the order of the manual's options.
    fn fields(&mut self) -> Vec<&mut dyn Field>;
}

/// What an option, or a word, is kept in.
pub(super) trait Field {
    /// Whether a value follows the option.
    fn wants_value(&self) -> bool {
        true
    }

    fn take(&mut self, value: &str) -> Result<(), String>;
}

impl Field for bool {
    fn wants_value(&self) -> bool {
        false
    }

    fn take(&mut self, _: &str) -> Result<(), String> {
        *self = true;
        Ok(())
    }
}

/// How often an option is given.
impl Field for u8 {
    fn wants_value(&self) -> bool {
        false
    }

    fn take(&mut self, _: &str) -> Result<(), String> {
        *self = self.saturating_add(1);
        Ok(())
    }
}

impl Field for Vec<String> {
    fn take(&mut self, value: &str) -> Result<(), String> {
        self.push(value.to_owned());
        Ok(())
    }
}

impl<T: FromStr> Field for Option<T>
where
    T::Err: Display,
{
    fn take(&mut self, value: &str) -> Result<(), String> {
        if self.is_some() {
            return Err("it is given twice".to_owned());
        }
        *self = Some(value.parse().map_err(|error: T::Err| error.to_string())?);
        Ok(())
    }
}

/// Makes the struct of a command and its manual.
macro_rules! command {
    (
        $(#[doc = $about:literal])+
        $name:ident = $manual:expr;
        $( $(#[doc = $help:literal])+ $field:ident: $kind:ty = $names:expr; )+
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Default)]
        pub struct $name {
            $( $(#[doc = $help])+ pub $field: $kind, )+
        }

        impl Command for $name {
            const MANUAL: Manual = Manual {
                about: &[$($about),+],
                options: &[$( (&$names, &[$($help),+]) ),+],
                ..$manual
            };

            fn fields(&mut self) -> Vec<&mut dyn Field> {
                vec![$( &mut self.$field ),+]
            }
        }
    };
}

/// Why words are not simply taken.
#[derive(Debug)]
pub(super) enum Stop {
    /// The help is asked for.
    Help,
    /// What is wrong.
    Wrong(String),
}

/// Puts words into the fields of a command. Where that has commands of its own, the first word that
/// is no option ends it: its place is returned.
pub(super) fn fill(
    manual: &Manual,
    mut fields: Vec<&mut dyn Field>,
    words: &[&str],
) -> Result<Option<usize>, Stop> {
    let mut only_words = false;
    let mut at = 0_usize;
    while let Some(word) = words.get(at) {
        let unknown = || Stop::Wrong(format!("Unrecognized argument: {word}"));
        let is_option = !only_words && word.len() > 1 && word.starts_with('-');
        if !only_words && matches!(*word, "--help" | "-h" | "help") {
            return Err(Stop::Help);
        } else if !is_option && !manual.commands.is_empty() {
            return Ok(Some(at));
        }
        at = at.saturating_add(1);
        if is_option && *word == "--" {
            only_words = true;
            continue;
        }
        let mut names = manual.options.iter().map(|(names, _)| *names);
        let field = match is_option {
            true => names.position(|names| names.contains(word)),
            false => names.position(is_of_words),
        };
        let field = field.and_then(|field| fields.get_mut(field)).ok_or_else(unknown)?;
        if !is_option {
            only_words |= manual.is_greedy;
            field.take(word).map_err(Stop::Wrong)?;
            continue;
        }
        let mut value = "";
        if field.wants_value() {
            let missing = || Stop::Wrong(format!("No value provided for option '{word}'."));
            value = words.get(at).ok_or_else(missing)?;
            at = at.saturating_add(1);
        }
        field.take(value).map_err(|error| {
            Stop::Wrong(format!("Error parsing option '{word}' with value '{value}': {error}"))
        })?;
    }
    Ok(None)
}

/// Whether the names are that of words, not of an option.
fn is_of_words(names: &[&str]) -> bool {
    names.iter().all(|name| !name.starts_with('-'))
}

/// The help, for a terminal.
pub(super) fn help(manual: &Manual) -> String {
    let mut called = "portolan".to_owned();
    if !manual.word.is_empty() {
        called = format!("portolan {}", manual.word);
    }
    let mut out = format!("Usage: {called} [options]");
    let (words, options): (Vec<_>, Vec<_>) =
        manual.options.iter().partition(|(names, _)| is_of_words(names));
    for (names, _) in &words {
        out.extend([" [<", &names.concat(), ">...]"]);
    }
    if !manual.commands.is_empty() {
        out.push_str(" [<command>] [<args>]");
    }
    out.push_str("\n\n");
    flow(&mut out, 0, 0, manual.about);
    if !words.is_empty() {
        out.push_str("\nPositional Arguments:\n");
        words.iter().for_each(|(names, help)| entry(&mut out, names, help));
    }
    out.push_str("\nOptions:\n");
    options.iter().for_each(|(names, help)| entry(&mut out, names, help));
    entry(&mut out, &["-h", "--help"], &["display usage information"]);
    if !manual.commands.is_empty() {
        out.push_str("\nCommands:\n");
        manual.commands.iter().for_each(|command| entry(&mut out, &[command.word], command.about));
    }
    out.push_str("\nExamples:\n");
    for line in manual.examples {
        out.extend(["  ", &line.replace("{}", &called), "\n"]);
    }
    if !manual.notes.is_empty() {
        out.push_str("\nNotes:\n");
        manual.notes.iter().for_each(|line| out.extend(["  ", line, "\n"]));
    }
    if !manual.codes.is_empty() {
        out.push_str("\nError codes:\n");
        for (code, text) in manual.codes {
            out.extend(["  ", &code.to_string(), " ", text, "\n"]);
        }
    }
    out
}

/// Names in the first column, a text in the second.
fn entry(out: &mut String, names: &[&str], help: &[&str]) {
    let names = names.join(", ");
    out.extend(["  ", &names]);
    let mut column = names.chars().count().saturating_add(2);
    if column >= INDENT {
        out.push('\n');
        column = 0;
    }
    flow(out, INDENT, column, help);
}

/// A text of several lines as a paragraph of its own width, from a column on.
fn flow(out: &mut String, indent: usize, column: usize, text: &[&str]) {
    let mut column = column;
    for word in text.iter().flat_map(|line| line.split(' ')).filter(|word| !word.is_empty()) {
        let width = word.chars().count();
        if column > indent && column.saturating_add(width) >= WIDTH {
            out.push('\n');
            column = 0;
        } else if column > indent {
            out.push(' ');
            column = column.saturating_add(1);
        }
        while column < indent {
            out.push(' ');
            column = column.saturating_add(1);
        }
        out.push_str(word);
        column = column.saturating_add(width);
    }
    out.push('\n');
}
