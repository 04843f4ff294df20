//! `portolan` without a sub-command: put the settings together, start the loop, say what went
//! wrong in one line.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::config::settings::{KEYS, Key};
use crate::config::{Settings, access};
use crate::core::agent::Ending;
use crate::core::report::VERSION;
use crate::core::rulebook;
use crate::io::logger;
use crate::io::run::{Loop, StartError};
use crate::sys::{argv, process, rand, stderr};

use super::args::Arguments;
use super::{exit, print};

/// Where the configuration is looked for.
const CONFIG: &str = "/etc/portolan/portolan.conf";

/// Runs the agent, or one of the options that only print something; returns the exit code.
#[must_use]
pub fn run(arguments: &Arguments) -> i32 {
    if arguments.version {
        let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
        return print(&format!("portolan {VERSION} ({system}; {machine})"));
    }
    if arguments.hash_password {
        return hash_password();
    }
    let source = Sources::of(arguments);
    let settings = match source.settings() {
        Ok((settings, warnings)) => {
            for warning in &warnings {
                tell(&format!("warning: {warning}"));
            }
            if arguments.check_config && !warnings.is_empty() {
                return exit::USAGE;
            }
            settings
        }
        Err(reason) => {
            tell(&reason);
            return exit::USAGE;
        }
    };
    if arguments.check_config {
        if let Err(problem) = rules_of(&settings.state_dir) {
            tell(&problem);
            return exit::USAGE;
        }
        return print("the configuration is fine");
    }
    if arguments.list_settings {
        return print(&list(&settings));
    }
    for (_, password) in source.given.iter().filter(|(name, _)| name == "management_password") {
        tell(
            "warning: a password on the command line is seen in the process list until now; \
             --management-password-file never is",
        );
        let _ = argv::hide(password.as_bytes());
    }
    logger::start(settings.log_level);
    prepare();
    loop {
        match start(&source) {
            Ok(Ending::Restart) => log::info!("starting over"),
            Ok(Ending::Stop) => return exit::OK,
            Err(code) => return code,
        }
    }
}

/// Reads the owner's rules of applications, as the agent does when it starts.
fn rules_of(state: &Path) -> Result<(), String> {
    let place = |name: &str, error: io::Error| format!("{}: {error}", state.join(name).display());
    let names = match fs::read_dir(state.join(rulebook::FOLDER)) {
        Ok(files) => files.flatten().filter_map(|file| file.file_name().into_string().ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(place(rulebook::FOLDER, error)),
    };
    let load =
        |name: &str| fs::read(state.join(name)).map(Some).map_err(|error| place(name, error));
    rulebook::with(&mut names.collect(), load).map(drop).map_err(|wrong| wrong.problem)
}

/// Reads a password from standard input and prints its hash, for `http_user`.
fn hash_password() -> i32 {
    let mut line = String::new();
    if let Err(error) = io::stdin().read_line(&mut line) {
        tell(&format!("standard input: {error}"));
        return exit::FAILED;
    }
    let password = line.trim_end_matches(['\r', '\n']);
    if !(1..=access::MAX_SECRET).contains(&password.len()) {
        tell("a password has 1 to 256 octets: give it as a line on standard input");
        return exit::USAGE;
    }
    let mut salt = [0; 16];
    if let Err(error) = rand::fill(&mut salt) {
        tell(&format!("no random salt: {error}"));
        return exit::FAILED;
    }
    print(&access::Hash::new(password.as_bytes(), &salt, access::ROUNDS).to_string())
}

/// One line on standard error, if somebody takes it.
fn tell(text: &str) {
    stderr::write(&format!("portolan: {text}\n"));
}

/// The process before anything is opened.
fn prepare() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tell(&format!("stopped by a defect at {place}: please report it"));
        std::process::abort();
    }));
    let _ = process::fill_standard_descriptors();
    if let Err(error) = process::raise_descriptor_limit(1_024) {
        log::warn!("descriptors: {error}");
    }
    let _ = process::forbid_dumps();
    // The agent goes before what a router cannot do without.
    let _ = process::set_oom_score(200);
}

fn start(source: &Sources) -> Result<Ending, i32> {
    let settings = source.settings().map(|(settings, _)| settings).map_err(|reason| {
        tell(&reason);
        exit::USAGE
    })?;
    let again = source.clone();
    let configure = Box::new(move || {
        let (settings, warnings) = again.settings()?;
        for warning in warnings {
            log::warn!("{warning}");
        }
        Ok(settings)
    });
    let mut running = Loop::open(settings, configure).map_err(|error| {
        tell(&error.to_string());
        match error {
            StartError::AlreadyRunning(_) => exit::UNREACHABLE,
            StartError::Configuration(_) => exit::USAGE,
            StartError::Denied(_) => exit::DENIED,
            StartError::System(_) => exit::FAILED,
        }
    })?;
    running.drop_privileges();
    log::info!("portolan {VERSION} answers on {}", running.doors());
    running.run().map_err(|error| {
        tell(&error.to_string());
        exit::FAILED
    })
}

/// Where settings come from; read anew on each reload.
#[derive(Clone, Debug)]
struct Sources {
    file: Option<String>,
    /// Name and value, as given on the command line.
    given: Vec<(String, String)>,
    louder: i16,
}

impl Sources {
    fn of(arguments: &Arguments) -> Self {
        let mut given = Vec::new();
        let mut give = |name: &str, value: Option<String>| {
            given.extend(value.map(|value| (name.to_owned(), value)));
        };
        let joined = |values: &[String]| Some(values.join(" ")).filter(|text| !text.is_empty());
        for setting in &arguments.set {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            give(name, Some(value.to_owned()));
        }
        give("capture_interfaces", joined(&arguments.interface));
        give("capture_promiscuous", arguments.promiscuous.then(|| "yes".to_owned()));
        give("api_socket", joined(&arguments.socket));
        give("management_port", arguments.management_port.clone());
        give("management_address", arguments.management_address.clone());
        give("management_password_file", arguments.management_password_file.clone());
        give("management_password", arguments.management_password.clone());
        give("management_dialect", arguments.management_dialect.clone());
        give("http", joined(&arguments.http));
        give("state_dir", arguments.state_dir.clone());
        let louder = i16::from(arguments.verbose).saturating_sub(i16::from(arguments.quiet));
        Self { file: arguments.config.clone(), given, louder }
    }

    /// The settings and what is odd about them.
    fn settings(&self) -> Result<(Settings, Vec<String>), String> {
        let mut settings = Settings::default();
        let mut warnings = Vec::new();
        let path = self.file.as_deref().unwrap_or(CONFIG);
        match fs::read_to_string(path) {
            Ok(text) => {
                let found = settings
                    .apply_file(&text, &mut secret)
                    .map_err(|(line, error)| at(path, line, &error.to_string()))?;
                warnings
                    .extend(found.iter().map(|(line, error)| at(path, *line, &error.to_string())));
            }
            Err(_) if self.file.is_none() && !Path::new(path).exists() => {}
            Err(error) => return Err(format!("{path}: {error}")),
        }
        for key in KEYS {
            let variable = format!("PORTOLAN_{}", key.name.to_ascii_uppercase());
            if let Ok(value) = std::env::var(&variable) {
                let set = settings.set(key.name, &value, &mut secret);
                set.map_err(|error| format!("{variable}: {error}"))?;
            }
        }
        for (name, value) in &self.given {
            let set = settings.set(name, value, &mut secret);
            set.map_err(|error| format!("command line: {error}"))?;
        }
        let level = i16::from(settings.log_level).saturating_add(self.louder).clamp(0, 4);
        settings.log_level = u8::try_from(level).unwrap_or(2);
        settings.check().map_err(|error| error.to_string())?;
        Ok((settings, warnings))
    }
}

fn at(path: &str, line: usize, text: &str) -> String {
    if line == 0 { format!("{path}: {text}") } else { format!("{path}:{line}: {text}") }
}

/// The text of a file with secrets.
fn secret(path: &str) -> Result<String, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_SECRETS {
        return Err("too large".to_owned());
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Octets of a file with secrets.
const MAX_SECRETS: u64 = 64 * 1024;

fn list(settings: &Settings) -> String {
    let line = |key: &Key| {
        let value = settings.show(key.name).unwrap_or_else(|| "(not shown)".to_owned());
        let live = if key.live { ", live" } else { "" };
        format!("{:<26} {value:<40} # {}{live}\n", key.name, key.help)
    };
    KEYS.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(given: &[(&str, &str)]) -> Sources {
        let given = given.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Sources { file: None, given, louder: 0 }
    }

    #[test]
    fn the_command_line_wins_and_errors_say_where() {
        let (settings, _) =
            sources(&[("flows_idle", "7"), ("flows_idle", "9")]).settings().unwrap();
        assert_eq!(settings.idle, 9);
        let error = sources(&[("flows_idel", "7")]).settings().unwrap_err();
        assert!(error.contains("did you mean flows_idle"), "{error}");
        let missing = Sources { file: Some("/nowhere/x.conf".into()), ..sources(&[]) };
        assert!(missing.settings().unwrap_err().contains("/nowhere/x.conf"));
    }

    #[test]
    fn an_open_port_with_the_default_key_is_refused() {
        let error = sources(&[("management_address", "0.0.0.0")]).settings().unwrap_err();
        assert!(error.contains("management_password_file"), "{error}");
    }
}
