//! The command line as typed: the commands and their options.

use super::options::{self, Command, Field, Manual, Stop};

command! {
    /// Watches the interfaces of a router, keeps a table of flows and answers on a Unix socket and
    /// on a UDP management port. Without a sub-command it is the agent, in the foreground.
    Arguments = Manual {
        examples: &[
            "Watch what it finds, then ask:",
            "  {} &",
            "  echo '{\"command\":\"status\"}' | nc -NU /var/run/portolan/portolan.sock",
            "  echo r 1 help | nc -w1 -u 127.0.0.1 5644",
            "Watch two interfaces:",
            "  {} -i br-lan -i wan",
        ],
        notes: &[
            "Settings also come from the file, then from the environment: PORTOLAN_ and the",
            "name of the setting in capitals, such as PORTOLAN_FLOWS_MAX=1000.",
        ],
        codes: &[
            (0, "all went well"),
            (1, "failed"),
            (2, "wrong option or configuration"),
            (3, "already running, or no agent to reach"),
            (4, "a permission is missing"),
        ],
        commands: &[Read::MANUAL, Ctl::MANUAL, Query::MANUAL, Capture::MANUAL, Rpcd::MANUAL],
        ..Manual::NONE
    };

    /// interface to watch; repeat it, or give a pattern such as veth*. Without it the agent
    /// picks: bridges and uplinks that carry addresses, never lo
    interface: Vec<String> = ["-i", "--interface"];

    /// configuration file (default: /etc/portolan/portolan.conf if there is one)
    config: Option<String> = ["-c", "--config"];

    /// path of the Unix socket (default: /var/run/portolan/portolan.sock); may be repeated
    socket: Vec<String> = ["--socket"];

    /// UDP port of the management protocol on 127.0.0.1 (default: 5644); 0 turns it off
    management_port: Option<String> = ["--management-port"];

    /// address of the management port (default: 127.0.0.1)
    management_address: Option<String> = ["--management-address"];

    /// key for changes on the management port (default: n2n); seen in the process list for a
    /// moment, so rather use the file
    management_password: Option<String> = ["--management-password"];

    /// file whose first line is that key
    management_password_file: Option<String> = ["--management-password-file"];

    /// how subscriptions are confirmed: published (default), or n2n for n2n-ctl --sub
    management_dialect: Option<String> = ["--management-dialect"];

    /// address and port where HTTP is answered (default: 127.0.0.1:8082 and 127.0.0.1:5001); may
    /// be repeated, off turns it off
    http: Vec<String> = ["--http"];

    /// folder of state that survives a restart (default: /etc/portolan)
    state_dir: Option<String> = ["--state-dir"];

    /// any other setting, as name=value; --list-settings shows them
    set: Vec<String> = ["-s", "--set"];

    /// take frames that are not for this machine, too
    promiscuous: bool = ["--promiscuous"];

    /// more log lines; repeat it for still more
    verbose: u8 = ["-v", "--verbose"];

    /// fewer log lines
    quiet: u8 = ["-q", "--quiet"];

    /// check the configuration, say what is wrong with it, and exit
    check_config: bool = ["-t", "--check-config"];

    /// print every setting with its value, and exit
    list_settings: bool = ["--list-settings"];

    /// read a password from standard input, print its hash for http_user, and exit
    hash_password: bool = ["--hash-password"];

    /// print the version and exit
    version: bool = ["-V", "--version"];
}

command! {
    /// The sub-commands.
    Read = Manual {
        word: "read",
        examples: &[
            "  {} evening.pcap",
            "  {} -f 'port 53 and host 192.0.2.1' evening.pcap",
            "  tcpdump -i eth0 -c 1000 -w - | {} --json - | jq .other_ip",
        ],
        notes: &[
            "A damaged file yields what was readable, then an error and exit code 1.",
        ],
        ..Manual::NONE
    };

    /// one JSON object per flow and line
    json: bool = ["-j", "--json"];

    /// one line of comma-separated values per flow, after a header line
    csv: bool = ["--csv"];

    /// take only packets that match, in tcpdump's language: 'tcp port 80 or arp'
    filter: Option<String> = ["-f", "--filter"];

    /// lines per table of the summary (default: 10)
    top: Option<usize> = ["-n", "--top"];

    /// flows kept at once; older ones are reported and let go (default: 1000000)
    max_flows: Option<u32> = ["--max-flows"];

    /// capture files, or - for standard input
    files: Vec<String> = ["file"];
}

command! {
    /// Asks a running agent over its management port, like `echo … | nc -u` where there is no nc.
    Ctl = Manual {
        word: "ctl",
        examples: &[
            "  {} r status",
            "  {} r flows dev=br-lan n=20",
            "  {} -k n2n w verbose 3",
            "  {} -k n2n s flow",
            "  echo r 1 help | {}",
        ],
        notes: &[
            "Prints the rows as JSON lines; of a request with a tag (r 1 help), and of",
            "those on standard input, every datagram as nc -u shows it. s waits for events",
            "until Ctrl-C, or for so many seconds of silence as -w says.",
        ],
        codes: &[
            (0, "answered"),
            (1, "the agent refused; its reason is on standard error"),
            (2, "no request, or a wrong option"),
            (3, "no answer"),
        ],
        is_greedy: true,
        ..Manual::NONE
    };

    /// port of the agent (default: 5644)
    port: Option<u16> = ["-p", "--port"];

    /// address of the agent, IPv4 or IPv6 (default: 127.0.0.1)
    address: Option<String> = ["-a", "--address"];

    /// key; needed to write and to subscribe
    key: Option<String> = ["-k", "--key"];

    /// file whose first line is the key
    key_file: Option<String> = ["--key-file"];

    /// seconds of silence after which an answer is given up (default: 2)
    wait: Option<u64> = ["-w", "--wait"];

    /// print every datagram as it came
    raw: bool = ["--raw"];

    /// r, w or s; then the method and its arguments
    request: Vec<String> = ["request"];
}

command! {
    /// Asks a running agent about the map: nodes, edges, flows and what connects them. The language
    /// is Skydive's Gremlin.
    Query = Manual {
        word: "query",
        examples: &[
            "  {} 'G.V()'",
            "  {} \"G.V().Has('Type', 'bridge').Out()\"",
            "  {} --json \"G.Flows().Has('Network', '192.0.2.1')\" | jq .",
        ],
        notes: &[
            "On a terminal nodes, edges and flows are a table; else it is JSON.",
        ],
        ..Manual::NONE
    };

    /// path of the agent's Unix socket (default: /var/run/portolan/portolan.sock)
    socket: Option<String> = ["--socket"];

    /// JSON, also on a terminal
    json: bool = ["-j", "--json"];

    /// JSON spread over lines
    pretty: bool = ["--pretty"];

    /// the query
    expression: Vec<String> = ["expression"];
}

command! {
    /// Takes live packets of a running agent, from any network namespace, as pcapng.
    Capture = Manual {
        word: "capture",
        examples: &[
            "  {} -i br-lan -w evening.pcapng 'port 53'",
            "  ssh root@router {} -i br-lan -w - | wireshark -k -i -",
            "  {} --netns web-1 --duration 30s -w web.pcapng",
        ],
        notes: &[
            "Without -i it is every interface that is not down. The filter is tcpdump's.",
            "With -C or -G the files are called NAME_00001 and so on.",
        ],
        codes: &[
            (0, "the stream ended, or its reader has seen enough"),
            (3, "no agent to reach"),
            (130, "ended by Ctrl-C; the file is whole"),
        ],
        ..Manual::NONE
    };

    /// interface; repeat it for more
    interface: Vec<String> = ["-i", "--interface"];

    /// namespace: the name of a container or of a file in /run/netns, a process, a number, a path
    netns: Option<String> = ["--netns"];

    /// where to write: a file, or - for standard output
    write: Option<String> = ["-w", "--write"];

    /// octets kept of each packet
    snaplen: Option<String> = ["-s", "--snaplen"];

    /// stop after so many packets
    count: Option<String> = ["-c", "--count"];

    /// stop after so many octets, such as 10M
    bytes: Option<String> = ["--bytes"];

    /// stop after a time, such as 30s, 500ms or 5m
    duration: Option<String> = ["--duration"];

    /// begin with packets of the past, such as 30s
    since: Option<String> = ["--since"];

    /// only this flow, by its id
    flow: Option<String> = ["--flow"];

    /// only this host: an address, a network or a name
    host: Option<String> = ["--host"];

    /// only this application
    app: Option<String> = ["--app"];

    /// only this device: a hardware address, an address or a name
    device: Option<String> = ["--device"];

    /// the interfaces that a Gremlin query gives
    gremlin: Option<String> = ["--gremlin"];

    /// one packet of so many
    sample: Option<String> = ["--sample"];

    /// at most so many packets a second
    maxrate: Option<String> = ["--maxrate"];

    /// nothing behind the transport header
    headers: bool = ["--headers"];

    /// no frames for other machines
    no_promiscuous: bool = ["-p", "--no-promiscuous"];

    /// pcapng (default) or pcap
    format: Option<String> = ["--format"];

    /// begin another file at this size, in millions of octets, or such as 512k
    size: Option<String> = ["-C", "--size"];

    /// begin another file after so many seconds
    seconds: Option<String> = ["-G", "--seconds"];

    /// keep so many of the files
    files: Option<String> = ["-W", "--files"];

    /// take the login that shows the packets, too
    itself: bool = ["--self"];

    /// no progress, no summary
    quiet: bool = ["-q", "--quiet"];

    /// path of the agent's Unix socket (default: /var/run/portolan/portolan.sock)
    socket: Option<String> = ["--socket"];

    /// which packets, in tcpdump's language
    filter: Vec<String> = ["filter"];
}

command! {
    /// The ubus object of OpenWrt. rpcd runs it by itself, under the name /usr/libexec/rpcd/portolan.
    Rpcd = Manual {
        word: "rpcd",
        examples: &[
            "  {} list",
            "  echo '{\"n\": 5}' | {} call flows",
            "  ubus call portolan flows '{\"n\": 5}'",
        ],
        notes: &[
            "call takes the arguments as a JSON object on standard input. What goes wrong",
            "is the member error of the answer.",
        ],
        ..Manual::NONE
    };

    /// path of the agent's Unix socket (default: $PORTOLAN_SOCKET, then
    /// /var/run/portolan/portolan.sock)
    socket: Option<String> = ["--socket"];

    /// list, or call and the name of a method
    words: Vec<String> = ["words"];
}

/// Where an agent's Unix socket is, unless it is told.
pub(super) const SOCKET: &str = "/var/run/portolan/portolan.sock";

impl Read {
    /// Lines per table of the summary.
    #[must_use]
    pub fn top(&self) -> usize {
        self.top.unwrap_or(10)
    }

    /// Flows kept at once.
    #[must_use]
    pub fn max_flows(&self) -> u32 {
        self.max_flows.unwrap_or(1_000_000).max(1)
    }
}

impl Ctl {
    /// Where the agent's management port is.
    #[must_use]
    pub fn address(&self) -> &str {
        self.address.as_deref().unwrap_or("127.0.0.1")
    }

    /// The number of that port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(5_644)
    }
}

impl Query {
    /// The agent's Unix socket.
    #[must_use]
    pub fn socket(&self) -> &str {
        self.socket.as_deref().unwrap_or(SOCKET)
    }
}

impl Capture {
    /// The agent's Unix socket.
    #[must_use]
    pub fn socket(&self) -> &str {
        self.socket.as_deref().unwrap_or(SOCKET)
    }
}

/// The sub-commands.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
pub enum Sub {
    /// `portolan read`
    Read(Read),
    /// `portolan ctl`
    Ctl(Ctl),
    /// `portolan query`
    Query(Query),
    /// `portolan capture`
    Capture(Capture),
    /// `portolan rpcd`
    Rpcd(Rpcd),
}

/// What the command line comes to.
#[derive(Debug)]
pub enum Parsed {
    /// Go on with this: the agent, or one of the sub-commands.
    Run(Box<Arguments>, Option<Box<Sub>>),
    /// Print this to standard output and succeed.
    Say(String),
    /// Print this to standard error and fail.
    Refuse(String),
}

/// Reads the words after the program's name. `run` as the first word is the agent itself, and
/// several names may follow one `-i`.
#[must_use]
pub fn parse(words: &[String]) -> Parsed {
    let words = words.strip_prefix(&["run".to_owned()][..]).unwrap_or(words);
    let spread = spread(words);
    let words: Vec<&str> = spread.iter().map(String::as_str).collect();
    // `portolan help read` is `portolan read --help`.
    let words = match words.as_slice() {
        ["help" | "--help", sub] => vec![*sub, "--help"],
        _ => words,
    };
    let mut arguments = Arguments::default();
    let done = options::fill(&Arguments::MANUAL, arguments.fields(), &words);
    let (at, sub) = match done {
        Ok(None) => return Parsed::Run(Box::new(arguments), None),
        Ok(Some(at)) => (at, words.get(at).copied().unwrap_or_default()),
        Err(stop) => return stopped(&Arguments::MANUAL, stop),
    };
    let words = words.get(at.saturating_add(1)..).unwrap_or_default();
    let sub = match sub {
        "read" => filled(words, Sub::Read),
        "ctl" => filled(words, Sub::Ctl),
        "query" => filled(words, Sub::Query),
        "capture" => filled(words, Sub::Capture),
        "rpcd" => filled(words, Sub::Rpcd),
        word => {
            let wrong = Stop::Wrong(format!("Unrecognized argument: {word}"));
            Err(stopped(&Arguments::MANUAL, wrong))
        }
    };
    sub.map_or_else(|stopped| stopped, |sub| Parsed::Run(Box::new(arguments), Some(sub)))
}

fn filled<C: Command>(words: &[&str], sub: fn(C) -> Sub) -> Result<Box<Sub>, Parsed> {
    let mut command = C::default();
    match options::fill(&C::MANUAL, command.fields(), words) {
        Ok(_) => Ok(Box::new(sub(command))),
        Err(stop) => Err(stopped(&C::MANUAL, stop)),
    }
}

fn stopped(manual: &Manual, stop: Stop) -> Parsed {
    match stop {
        Stop::Help => Parsed::Say(options::help(manual)),
        Stop::Wrong(text) => {
            let hint = suggestion(&text, manual);
            Parsed::Refuse(format!("portolan: {text}{hint} (try portolan --help)"))
        }
    }
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
fn suggestion(error: &str, manual: &Manual) -> String {
    let Some(word) = error.strip_prefix("Unrecognized argument: ") else { return String::new() };
    let names = manual.options.iter().flat_map(|(names, _)| *names);
    let names = names.filter(|name| word.starts_with("--") && name.starts_with("--"));
    let near = names.map(|name| (crate::config::settings::distance(word, name), name)).min();
    near.filter(|(distance, _)| (1..=3).contains(distance))
        .map_or_else(String::new, |(_, option)| format!(": did you mean {option}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Arguments {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&words) {
            Parsed::Run(arguments, _) => *arguments,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn sub(line: &str) -> Sub {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&words) {
            Parsed::Run(_, Some(sub)) => *sub,
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
        assert!(matches!(sub("read -j x"), Sub::Read(_)));
    }

    #[test]
    fn a_dash_is_a_file() {
        let Sub::Read(read) = sub("read --json a - --csv") else { panic!() };
        assert_eq!(read.files, ["a", "-"]);
        assert!(read.json && read.csv);
    }

    #[test]
    fn ctl_takes_the_rest_as_it_is() {
        let Sub::Ctl(ctl) = sub("ctl -k n2n w set -- -x 1000") else { panic!() };
        assert_eq!(ctl.request, ["w", "set", "--", "-x", "1000"]);
    }

    #[test]
    fn capture_takes_a_filter_and_a_dash() {
        let line = "capture -i a -i b -w - -C 10 -p tcp port 80 --self";
        let Sub::Capture(capture) = sub(line) else { panic!() };
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
