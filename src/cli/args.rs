//! The command line as typed.

use argh::FromArgs;

/// Watches the interfaces of a router, keeps a table of flows and answers on a Unix socket and
/// on a UDP management port. Without a sub-command it is the agent, in the foreground.
#[derive(Debug, FromArgs)]
#[argh(
    example = "Watch what it finds, then ask:\n  {command_name} &\n  echo '{{\"command\":\"status\"}}' | nc -NU /var/run/portolan/portolan.sock\n  echo r 1 help | nc -w1 -u 127.0.0.1 5644",
    example = "Watch two interfaces:\n  {command_name} -i br-lan -i wan",
    note = "Settings also come from the file, then from the environment: PORTOLAN_ and the\nname of the setting in capitals, such as PORTOLAN_FLOWS_MAX=1000.",
    error_code(0, "all went well"),
    error_code(1, "failed"),
    error_code(2, "wrong option or configuration"),
    error_code(3, "already running, or no agent to reach"),
    error_code(4, "a permission is missing")
)]
pub struct Arguments {
    /// interface to watch; repeat it, or give a pattern such as veth*. Without it the agent
    /// picks: bridges and uplinks that carry addresses, never lo
    #[argh(option, short = 'i', arg_name = "name")]
    pub interface: Vec<String>,

    /// configuration file (default: /etc/portolan/portolan.conf if there is one)
    #[argh(option, short = 'c', arg_name = "file")]
    pub config: Option<String>,

    /// path of the Unix socket (default: /var/run/portolan/portolan.sock); may be repeated
    #[argh(option, arg_name = "path")]
    pub socket: Vec<String>,

    /// UDP port of the management protocol on 127.0.0.1 (default: 5644); 0 turns it off
    #[argh(option, arg_name = "port")]
    pub management_port: Option<String>,

    /// address of the management port (default: 127.0.0.1)
    #[argh(option, arg_name = "ip")]
    pub management_address: Option<String>,

    /// key for changes on the management port (default: n2n); seen in the process list for a
    /// moment, so rather use the file
    #[argh(option, arg_name = "key")]
    pub management_password: Option<String>,

    /// file whose first line is that key
    #[argh(option, arg_name = "file")]
    pub management_password_file: Option<String>,

    /// how subscriptions are confirmed: published (default), or n2n for n2n-ctl --sub
    #[argh(option, arg_name = "name")]
    pub management_dialect: Option<String>,

    /// address and port where HTTP is answered (default: 127.0.0.1:8082 and 127.0.0.1:5001); may
    /// be repeated, off turns it off
    #[argh(option, arg_name = "ip:port")]
    pub http: Vec<String>,

    /// folder of state that survives a restart (default: /etc/portolan)
    #[argh(option, arg_name = "dir")]
    pub state_dir: Option<String>,

    /// any other setting, as name=value; --list-settings shows them
    #[argh(option, short = 's', arg_name = "name=value")]
    pub set: Vec<String>,

    /// take frames that are not for this machine, too
    #[argh(switch)]
    pub promiscuous: bool,

    /// more log lines; repeat it for still more
    #[argh(switch, short = 'v')]
    pub verbose: u8,

    /// fewer log lines
    #[argh(switch, short = 'q')]
    pub quiet: u8,

    /// check the configuration, say what is wrong with it, and exit
    #[argh(switch, short = 't')]
    pub check_config: bool,

    /// print every setting with its value, and exit
    #[argh(switch)]
    pub list_settings: bool,

    /// read a password from standard input, print its hash for http_user, and exit
    #[argh(switch)]
    pub hash_password: bool,

    /// print the version and exit
    #[argh(switch, short = 'V')]
    pub version: bool,

    /// what to do instead of being the agent
    #[argh(subcommand)]
    pub command: Option<Sub>,
}

/// The sub-commands.
#[derive(Debug, FromArgs)]
#[argh(subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Sub {
    /// `portolan read`
    Read(Read),
    /// `portolan ctl`
    Ctl(Ctl),
    /// `portolan query`
    Query(Query),
    /// `portolan lookup`
    Lookup(Lookup),
    /// `portolan capture`
    Capture(Capture),
    /// `portolan rpcd`
    Rpcd(Rpcd),
}

/// Reads capture files (pcap or pcapng, plain or gzip) and tells of their flows. Needs no root.
#[derive(Debug, FromArgs)]
#[argh(
    subcommand,
    name = "read",
    example = "  {command_name} evening.pcap\n  {command_name} -f 'port 53 and host 192.0.2.1' evening.pcap\n  {command_name} -w 'app == netflix' --csv evening.pcap\n  tcpdump -i eth0 -c 1000 -w - | {command_name} --json - | jq .other_ip",
    note = "A damaged file yields what was readable, then an error and exit code 1."
)]
pub struct Read {
    /// one JSON object per flow and line
    #[argh(switch, short = 'j')]
    pub json: bool,

    /// the life of each flow and the figures of each interval as records of telemetry
    #[argh(switch, short = 't')]
    pub telemetry: bool,

    /// one line of comma-separated values per flow, after a header line
    #[argh(switch)]
    pub csv: bool,

    /// take only packets that match, in tcpdump's language: 'tcp port 80 or arp'
    #[argh(option, short = 'f', arg_name = "expression")]
    pub filter: Option<String>,

    /// tell only of flows of which this is true: 'app == netflix && local_ip == 192.0.2.0/24'
    #[argh(option, short = 'w', long = "where", arg_name = "expression")]
    pub wanted: Option<String>,

    /// rules of applications that join the shipped ones, as of /etc/portolan/applications.d
    #[argh(option, short = 'r', arg_name = "file")]
    pub rules: Option<String>,

    /// lines per table of the summary (default: 10)
    #[argh(option, short = 'n', default = "10", arg_name = "lines")]
    pub top: usize,

    /// flows kept at once; older ones are reported and let go (default: 1000000)
    #[argh(option, default = "1_000_000", arg_name = "flows")]
    pub max_flows: u32,

    /// capture files, or - for standard input
    #[argh(positional, arg_name = "file")]
    pub files: Vec<String>,
}

/// Asks a running agent over its management port, like `echo … | nc -u` where there is no nc.
#[derive(Debug, FromArgs)]
#[argh(
    subcommand,
    name = "ctl",
    example = "  {command_name} r status\n  {command_name} r flows dev=br-lan n=20\n  {command_name} -k n2n w verbose 3\n  {command_name} -k n2n s flow\n  echo r 1 help | {command_name}",
    note = "Prints the rows as JSON lines; of a request with a tag (r 1 help), and of\nthose on standard input, every datagram as nc -u shows it. s waits for events\nuntil Ctrl-C, or for so many seconds of silence as -w says.",
    error_code(0, "answered"),
    error_code(1, "the agent refused; its reason is on standard error"),
    error_code(2, "no request, or a wrong option"),
    error_code(3, "no answer")
)]
pub struct Ctl {
    /// port of the agent (default: 5644)
    #[argh(option, short = 'p', default = "5644", arg_name = "port")]
    pub port: u16,

    /// address of the agent, IPv4 or IPv6 (default: 127.0.0.1)
    #[argh(option, short = 'a', default = "\"127.0.0.1\".to_owned()", arg_name = "ip")]
    pub address: String,

    /// key; needed to write and to subscribe
    #[argh(option, short = 'k', arg_name = "key")]
    pub key: Option<String>,

    /// file whose first line is the key
    #[argh(option, arg_name = "file")]
    pub key_file: Option<String>,

    /// seconds of silence after which an answer is given up (default: 2)
    #[argh(option, short = 'w', arg_name = "seconds")]
    pub wait: Option<u64>,

    /// print every datagram as it came
    #[argh(switch)]
    pub raw: bool,

    /// r, w or s; then the method and its arguments
    #[argh(positional, arg_name = "request", greedy)]
    pub request: Vec<String>,
}

/// Asks a running agent about the map: nodes, edges, flows and what connects them. The language
/// is Skydive's Gremlin.
#[derive(Debug, FromArgs)]
#[argh(
    subcommand,
    name = "query",
    example = "  {command_name} 'G.V()'\n  {command_name} \"G.V().Has('Type', 'bridge').Out()\"\n  {command_name} --json \"G.Flows().Has('Network', '192.0.2.1')\" | jq .",
    note = "On a terminal nodes, edges and flows are a table; else it is JSON."
)]
pub struct Query {
    /// path of the agent's Unix socket (default: /var/run/portolan/portolan.sock)
    #[argh(option, default = "\"/var/run/portolan/portolan.sock\".to_owned()", arg_name = "path")]
    pub socket: String,

    /// JSON, also on a terminal
    #[argh(switch, short = 'j')]
    pub json: bool,

    /// JSON spread over lines
    #[argh(switch)]
    pub pretty: bool,

    /// the query
    #[argh(positional, arg_name = "expression")]
    pub expression: Vec<String>,
}

/// Tells what is known of a name, an address or a hardware address, and from where: rule, category,
/// network, vendor, names, device.
#[derive(Debug, FromArgs)]
#[argh(
    subcommand,
    name = "lookup",
    example = "  {command_name} www.netflix.com\n  {command_name} 192.168.1.20\n  {command_name} --json b8:27:eb:12:34:56 | jq .known",
    note = "Without a running agent the shipped rules and tables answer.",
    error_code(1, "nothing is known of it")
)]
pub struct Lookup {
    /// path of the agent's Unix socket (default: /var/run/portolan/portolan.sock)
    #[argh(option, default = "\"/var/run/portolan/portolan.sock\".to_owned()", arg_name = "path")]
    pub socket: String,

    /// one JSON object
    #[argh(switch, short = 'j')]
    pub json: bool,

    /// what to look up
    #[argh(positional, arg_name = "what")]
    pub subject: Vec<String>,
}

/// Takes live packets of a running agent, from any network namespace, as pcapng.
#[derive(Debug, FromArgs)]
#[argh(
    subcommand,
    name = "capture",
    example = "  {command_name} -i br-lan -w evening.pcapng 'port 53'\n  ssh root@router {command_name} -i br-lan -w - | wireshark -k -i -\n  {command_name} --netns web-1 --duration 30s -w web.pcapng",
    note = "Without -i it is every interface that is not down. The filter is tcpdump's.\nWith -C or -G the files are called NAME_00001 and so on.",
    error_code(0, "the stream ended, or its reader has seen enough"),
    error_code(3, "no agent to reach"),
    error_code(130, "ended by Ctrl-C; the file is whole")
)]
pub struct Capture {
    /// interface; repeat it for more
    #[argh(option, short = 'i', arg_name = "name")]
    pub interface: Vec<String>,

    /// namespace: the name of a container or of a file in /run/netns, a process, a number, a path
    #[argh(option, arg_name = "which")]
    pub netns: Option<String>,

    /// where to write: a file, or - for standard output
    #[argh(option, short = 'w', arg_name = "file")]
    pub write: Option<String>,

    /// octets kept of each packet
    #[argh(option, short = 's', arg_name = "octets")]
    pub snaplen: Option<String>,

    /// stop after so many packets
    #[argh(option, short = 'c', arg_name = "packets")]
    pub count: Option<String>,

    /// stop after so many octets, such as 10M
    #[argh(option, arg_name = "octets")]
    pub bytes: Option<String>,

    /// stop after a time, such as 30s, 500ms or 5m
    #[argh(option, arg_name = "time")]
    pub duration: Option<String>,

    /// begin with packets of the past, such as 30s
    #[argh(option, arg_name = "time")]
    pub since: Option<String>,

    /// only this flow, by its id
    #[argh(option, arg_name = "id")]
    pub flow: Option<String>,

    /// only this host: an address, a network or a name
    #[argh(option, arg_name = "host")]
    pub host: Option<String>,

    /// only this application
    #[argh(option, arg_name = "name")]
    pub app: Option<String>,

    /// only this device: a hardware address, an address or a name
    #[argh(option, arg_name = "device")]
    pub device: Option<String>,

    /// the interfaces that a Gremlin query gives
    #[argh(option, arg_name = "query")]
    pub gremlin: Option<String>,

    /// one packet of so many
    #[argh(option, arg_name = "n")]
    pub sample: Option<String>,

    /// at most so many packets a second
    #[argh(option, arg_name = "packets")]
    pub maxrate: Option<String>,

    /// nothing behind the transport header
    #[argh(switch)]
    pub headers: bool,

    /// no frames for other machines
    #[argh(switch, short = 'p')]
    pub no_promiscuous: bool,

    /// pcapng (default) or pcap
    #[argh(option, arg_name = "name")]
    pub format: Option<String>,

    /// begin another file at this size, in millions of octets, or such as 512k
    #[argh(option, short = 'C', arg_name = "size")]
    pub size: Option<String>,

    /// begin another file after so many seconds
    #[argh(option, short = 'G', arg_name = "seconds")]
    pub seconds: Option<String>,

    /// keep so many of the files
    #[argh(option, short = 'W', arg_name = "files")]
    pub files: Option<String>,

    /// take the login that shows the packets, too
    #[argh(switch, long = "self")]
    pub itself: bool,

    /// no progress, no summary
    #[argh(switch, short = 'q')]
    pub quiet: bool,

    /// path of the agent's Unix socket (default: /var/run/portolan/portolan.sock)
    #[argh(option, default = "\"/var/run/portolan/portolan.sock\".to_owned()", arg_name = "path")]
    pub socket: String,

    /// which packets, in tcpdump's language
    #[argh(positional, arg_name = "filter")]
    pub filter: Vec<String>,
}

/// The ubus object of OpenWrt. rpcd runs it by itself, under the name /usr/libexec/rpcd/portolan.
#[derive(Debug, FromArgs)]
#[argh(
    subcommand,
    name = "rpcd",
    example = "  {command_name} list\n  echo '{{\"n\": 5}}' | {command_name} call flows\n  ubus call portolan flows '{{\"n\": 5}}'",
    note = "call takes the arguments as a JSON object on standard input. What goes wrong\nis the member error of the answer."
)]
pub struct Rpcd {
    /// path of the agent's Unix socket (default: $PORTOLAN_SOCKET, then
    /// /var/run/portolan/portolan.sock)
    #[argh(option, arg_name = "path")]
    pub socket: Option<String>,

    /// list, or call and the name of a method
    #[argh(positional, arg_name = "words")]
    pub words: Vec<String>,
}

/// What the command line comes to.
#[derive(Debug)]
pub enum Parsed {
    /// Go on with this.
    Run(Box<Arguments>),
    /// Print this to standard output and succeed.
    Say(String),
    /// Print this to standard error and fail.
    Refuse(String),
}

/// Stands for `-` in the option parser; no file has such a name.
const DASH: &str = "\0";

/// Reads the words after the program's name. `run` as the first word is the agent itself, and
/// several names may follow one `-i`.
#[must_use]
pub fn parse(words: &[String]) -> Parsed {
    let words = words.strip_prefix(&["run".to_owned()][..]).unwrap_or(words);
    let spread = spread(words);
    let words: Vec<&str> = spread.iter().map(String::as_str).collect();
    // `portolan help read` is `portolan read --help`.
    let words = match words.as_slice() {
        ["help"] => vec!["--help"],
        ["help", sub] => vec![*sub, "--help"],
        _ => words,
    };
    let words: Vec<&str> =
        words.into_iter().map(|word| if word == "-h" { "--help" } else { word }).collect();
    // The option parser takes a lone dash for an option.
    let words: Vec<&str> =
        words.into_iter().map(|word| if word == "-" { DASH } else { word }).collect();
    match Arguments::from_args(&["portolan"], &words) {
        Ok(mut arguments) => {
            let words = match &mut arguments.command {
                Some(Sub::Read(read)) => &mut read.files[..],
                Some(Sub::Ctl(ctl)) => &mut ctl.request[..],
                Some(Sub::Query(query)) => &mut query.expression[..],
                Some(Sub::Lookup(lookup)) => &mut lookup.subject[..],
                Some(Sub::Rpcd(rpcd)) => &mut rpcd.words[..],
                Some(Sub::Capture(capture)) => {
                    if let Some(file) = capture.write.as_mut().filter(|file| *file == DASH) {
                        "-".clone_into(file);
                    }
                    &mut capture.filter[..]
                }
                None => &mut [],
            };
            let dashes = words.iter_mut().filter(|word| *word == DASH);
            dashes.for_each(|word| "-".clone_into(word));
            Parsed::Run(Box::new(arguments))
        }
        Err(exit) if exit.status.is_ok() => Parsed::Say(fit(&exit.output)),
        Err(exit) => {
            let first = exit.output.lines().next().unwrap_or_default();
            let hint = suggestion(first, &words);
            Parsed::Refuse(format!("portolan: {first}{hint} (try portolan --help)"))
        }
    }
}

/// Breaks lines at 80 columns, where the usage line is shortened and sentences go on below.
fn fit(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut column = 0_usize;
        let indent = line.len().saturating_sub(line.trim_start().len());
        out.push_str(line.get(..indent).unwrap_or_default());
        let words = match line.split_once(" [") {
            Some((usage, _)) if line.starts_with("Usage:") && line.chars().count() > 80 => {
                format!("{usage} [options] [<command>] [<args>]")
            }
            _ => line.trim_start().to_owned(),
        };
        if indent.saturating_add(words.chars().count()) <= 80 {
            out.push_str(&words);
            out.push('\n');
            continue;
        }
        for word in words.split(' ') {
            let width = word.chars().count();
            if column > 0 && column.saturating_add(width) >= 80 {
                out.push('\n');
                column = 0;
            } else if column > 0 {
                out.push(' ');
            }
            out.push_str(word);
            column = column.saturating_add(width).saturating_add(1);
        }
        out.push('\n');
    }
    out
}

/// `-i a b -c file` becomes `-i a -i b -c file`, and `-vv` becomes `-v -v`; sub-commands are left
/// as they are.
fn spread(words: &[String]) -> Vec<String> {
    let sub = ["read", "ctl", "query", "capture", "rpcd", "help"];
    let mut out: Vec<String> = Vec::with_capacity(words.len());
    let mut named = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if sub.contains(&word.as_str()) && !named {
            out.push(word.clone());
            out.extend(words.cloned());
            break;
        }
        if word == "-i" || word == "--interface" {
            out.push(word.clone());
            out.extend(words.next().cloned());
            named = true;
        } else if named && !word.starts_with('-') {
            out.extend(["-i".to_owned(), word.clone()]);
        } else if let Some(letter @ ("v" | "q")) = repeated(word) {
            named = false;
            out.extend(word.chars().skip(1).map(|_| format!("-{letter}")));
        } else {
            named = false;
            out.push(word.clone());
            // The value of another option is not a sub-command.
            let takes = ["-c", "--config", "--socket", "--state-dir", "--http", "-s", "--set"];
            if takes.contains(&word.as_str()) || word.starts_with("--management-") {
                out.extend(words.next().cloned());
            }
        }
    }
    out
}

/// The letter of an option such as `-vvv`.
fn repeated(word: &str) -> Option<&str> {
    let letters = word.strip_prefix('-')?;
    let first = letters.get(..1)?;
    (letters.len() > 1 && letters.len() <= 8 && letters.replace(first, "").is_empty())
        .then_some(first)
}

/// `: did you mean …?` for an option that is nearly one.
fn suggestion(error: &str, words: &[&str]) -> String {
    const OPTIONS: [&str; 19] = [
        "--interface",
        "--config",
        "--socket",
        "--management-port",
        "--management-address",
        "--management-password",
        "--management-password-file",
        "--management-dialect",
        "--http",
        "--hash-password",
        "--state-dir",
        "--promiscuous",
        "--verbose",
        "--check-config",
        "--list-settings",
        "--version",
        "--json",
        "--csv",
        "--filter",
    ];
    let Some(word) = words.iter().find(|word| word.starts_with("--") && error.contains(**word))
    else {
        return String::new();
    };
    let near = OPTIONS.iter().map(|o| (crate::config::settings::distance(word, o), o)).min();
    near.filter(|(distance, _)| (1..=3).contains(distance))
        .map_or_else(String::new, |(_, option)| format!(": did you mean {option}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Arguments {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&words) {
            Parsed::Run(arguments) => *arguments,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn several_names_may_follow_one_i() {
        assert_eq!(run("-i a b -c x -i c").interface, ["a", "b", "c"]);
        assert_eq!(run("run -i a --promiscuous").interface, ["a"]);
        assert_eq!(run("-c read").config.as_deref(), Some("read"));
        assert_eq!(run("-i read").interface, ["read"]);
        assert_eq!((run("-vvv").verbose, run("-i a -vv -q").verbose), (3, 2));
        assert!(matches!(run("read -j x").command, Some(Sub::Read(_))));
    }

    #[test]
    fn a_dash_is_a_file() {
        let Some(Sub::Read(read)) = run("read --json a - --csv").command else { panic!() };
        assert_eq!(read.files, ["a", "-"]);
        assert!(read.json && read.csv);
    }

    #[test]
    fn ctl_takes_the_rest_as_it_is() {
        let Some(Sub::Ctl(ctl)) = run("ctl -k n2n w set flows_max 1000").command else { panic!() };
        assert_eq!(ctl.request, ["w", "set", "flows_max", "1000"]);
    }

    #[test]
    fn capture_takes_a_filter_and_a_dash() {
        let line = "capture -i a -i b -w - -C 10 -p tcp port 80 --self";
        let Some(Sub::Capture(capture)) = run(line).command else { panic!() };
        assert_eq!((capture.write.as_deref(), capture.interface.len()), (Some("-"), 2));
        assert_eq!(capture.filter, ["tcp", "port", "80"]);
        assert!(capture.itself && capture.no_promiscuous);
    }

    #[test]
    fn a_wrong_option_is_one_line_with_a_hint() {
        let Parsed::Refuse(text) = parse(&["--promiscous".to_owned()]) else { panic!() };
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("did you mean --promiscuous?"), "{text}");
        assert!(text.contains("--help"), "{text}");
    }

    #[test]
    fn help_is_for_a_terminal_and_has_examples() {
        for words in [
            &["--help"][..],
            &["capture", "--help"],
            &["help", "read"],
            &["ctl", "--help"],
            &["query", "--help"],
            &["lookup", "--help"],
            &["rpcd", "--help"],
        ] {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            let Parsed::Say(text) = parse(&words) else { panic!() };
            assert!(text.contains("Examples"), "{text}");
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }
}
