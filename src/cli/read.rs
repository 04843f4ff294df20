//! `portolan read`: capture files through the same pipeline as live frames, without privileges.
//! Human summary by default, JSON lines or CSV for pipes; progress on a terminal.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::Hash;
use std::io::{self, BufWriter, ErrorKind, IsTerminal as _, Write};
use std::time::Instant;

use crate::api::compat::netify;
use crate::api::json;
use crate::core::engine::{Engine, Listener, Lore};
use crate::core::labelled::Labelled;
use crate::core::rulebook;
use crate::core::subject::{Around, Asked};
use crate::counters::Counters;
use crate::detect::{Fact, Outcome, Progress as Found, Protocol};
use crate::expression::Expression as Wanted;
use crate::filter::names::Tables;
use crate::filter::vm::Meta;
use crate::filter::{self, Expression, Options, Program};
use crate::flow::{EndReason, Flow, FlowId, Limits, Record, Seed, Timeouts};
use crate::source::file::{BATCH, Error, Reader};
use crate::source::{Direction, Frame};
use crate::sys::signals;
use crate::text::plain;
use crate::time::{Clock, Tick};
use crate::wire::link::LinkType;
use crate::wire::proto;

use super::args::Read;
use super::exit;
use super::telemetry::Teller;

/// Flows that may expire after each frame: their work is spread over the file.
const EXPIRE_BUDGET: usize = 64;

/// Hosts told apart in the summary, and services; more than this are counted together.
const MAX_HOSTS: usize = 16_384;

/// Runs the sub-command and returns the exit code.
#[must_use]
pub fn run(arguments: &Read) -> i32 {
    if arguments.files.is_empty() {
        complain!("portolan: read what? Name capture files, or - for standard input");
        return exit::USAGE;
    }
    let formats = [arguments.json, arguments.csv, arguments.telemetry];
    if formats.iter().filter(|wanted| **wanted).count() > 1 {
        complain!("portolan: one of --json, --csv and --telemetry, not both");
        return exit::USAGE;
    }
    let mut filter = match arguments.filter.as_deref().map(Filter::new).transpose() {
        Ok(filter) => filter,
        Err(problem) => {
            complain!("portolan: {problem}");
            return exit::USAGE;
        }
    };
    let wanted = match arguments.wanted.as_deref().map(Wanted::parse).transpose() {
        Ok(wanted) => wanted,
        Err(error) => {
            complain!("portolan: where: {error}");
            return exit::USAGE;
        }
    };
    // Ctrl-C also ends whoever writes into our standard input: what has come is still told.
    signals::catch_interrupt();
    // SIGPIPE stays ignored: a reader that has seen enough shows as an error of the write.
    let stdout = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let format = match formats {
        [true, ..] => Format::Json,
        [_, true, _] => Format::Csv,
        [.., true] => Format::Telemetry(Box::default()),
        _ => Format::Summary(Summary::default()),
    };
    let mut report = Report { out: stdout, format, failed: None, file: String::new(), wanted };
    report.header();
    let mut code = exit::OK;
    let mut totals = Engine::new(limits(arguments), Timeouts::default(), Seed::random());
    let rules = match arguments.rules.as_deref() {
        Some(path) => std::fs::read(path)
            .map_err(|error| format!("{path}: {error}"))
            .and_then(|bytes| rulebook::with_file(path, bytes)),
        None => rulebook::known(),
    };
    match rules {
        Ok(applications) => totals.lore.applications = applications,
        Err(problem) => {
            complain!("portolan: {problem}");
            return exit::USAGE;
        }
    }
    let mut counters = Counters::default();
    let mut span = Span::default();
    for name in &arguments.files {
        name.clone_into(&mut report.file);
        report.begin(name, &totals);
        let read = read(name, &mut filter, &mut totals, &mut counters, &mut span, &mut report);
        if let Err(problem) = read {
            complain!("portolan: {name}: {problem}");
            code = exit::FAILED;
        }
        if filter.as_ref().is_some_and(|filter| filter.failed) {
            return exit::USAGE;
        }
        // Each file stands for itself: a flow does not go on in the next one.
        totals.flush(EndReason::Shutdown, &mut counters, &mut report);
        report.end(span.last, &totals, &counters);
        if report.failed.is_some() {
            break;
        }
        if signals::interrupted() {
            complain!("portolan: interrupted: this is what was found so far");
            code = exit::INTERRUPTED;
            break;
        }
    }
    if let Format::Summary(summary) = std::mem::replace(&mut report.format, Format::Json) {
        let left_out = filter.map_or(0, |filter| filter.left_out);
        let failed = summary.print(&mut report.out, arguments, &totals, &counters, &span, left_out);
        report.failed = report.failed.or_else(|| failed.err());
    }
    match report.failed.take().map_or_else(|| report.out.flush(), Err) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => code,
        Err(error) => {
            complain!("portolan: standard output: {error}");
            exit::FAILED
        }
        Ok(()) => code,
    }
}

fn limits(arguments: &Read) -> Limits {
    Limits { max_flows: arguments.max_flows.max(1) }
}

/// First and last stamp of all files.
#[derive(Default)]
struct Span {
    first: Option<Tick>,
    last: Tick,
}

fn read(
    name: &str,
    filter: &mut Option<Filter<'_>>,
    engine: &mut Engine,
    counters: &mut Counters,
    span: &mut Span,
    report: &mut Report<impl Write>,
) -> Result<(), String> {
    let (input, size): (Box<dyn io::Read>, Option<u64>) = if name == "-" {
        (Box::new(io::stdin().lock()), None)
    } else {
        let file = File::open(name).map_err(|error| match error.kind() {
            ErrorKind::NotFound => "no such file".to_owned(),
            _ => error.to_string(),
        })?;
        let about = file.metadata().map_err(|error| error.to_string())?;
        if about.is_dir() {
            return Err("is a folder: name the files in it".to_owned());
        }
        (Box::new(file), Some(about.len()).filter(|_| about.is_file()))
    };
    let mut reader = Reader::open(input).map_err(|error| explain(&error))?;
    let mut progress = Progress::new(name, size);
    let mut latest = Tick::default();
    let mut shown = 0;
    loop {
        let mut room = [Frame::EMPTY; BATCH];
        let count = match reader.next_frames(&mut room) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => {
                span.last = span.last.max(latest);
                progress.clear();
                return Err(format!("{}; what came before it is reported", explain(&error)));
            }
        };
        let batch = room.get_mut(..count).unwrap_or_default();
        let count = match filter {
            Some(filter) => filter.sift(batch).inspect_err(|_| progress.clear())?,
            None => batch.len(),
        };
        // Time-outs are looked at behind each packet that begins a second.
        let mut rest = batch.get(..count).unwrap_or_default();
        while let Some(next) = rest.first() {
            span.first = Some(span.first.unwrap_or(next.ts));
            let second = latest.secs();
            let last = rest.iter().position(|frame| frame.ts.secs() > second);
            let (part, behind) = rest.split_at(last.map_or(rest.len(), |at| at.saturating_add(1)));
            for frame in part {
                // A file's clock may go back; time-outs only ever go on.
                latest = latest.max(frame.ts);
                span.first = span.first.min(Some(frame.ts));
            }
            engine.frames(part, counters, report);
            report.advance(latest, engine, counters);
            if latest.secs() != second || engine.flows.is_emergency() {
                while engine.advance(latest, EXPIRE_BUDGET, counters, report) {}
                report.advance(latest, engine, counters);
            }
            rest = behind;
        }
        if reader.packets().saturating_sub(shown) >= 65_536 {
            shown = reader.packets();
            progress.show(reader.packets(), reader.consumed());
            if report.failed.is_some() || signals::interrupted() {
                break;
            }
        }
    }
    span.last = span.last.max(latest);
    progress.clear();
    Ok(())
}

/// The filter, compiled for each link type as it is met.
struct Filter<'a> {
    text: &'a str,
    expression: Expression,
    programs: Vec<(LinkType, Program)>,
    /// Packets that did not match.
    left_out: u64,
    /// Whether it could not be compiled for some link type.
    failed: bool,
}

impl<'a> Filter<'a> {
    fn new(text: &'a str) -> Result<Self, String> {
        let table = |path| std::fs::read_to_string(path).unwrap_or_default();
        let names = Tables::new(table("/etc/services"), table("/etc/protocols"))
            .with_ethers(table("/etc/ethers"));
        let expression = Expression::parse(text, &names);
        let expression = expression.map_err(|error| pointed(text, &error))?;
        Ok(Self { text, expression, programs: Vec::new(), left_out: 0, failed: false })
    }

    /// Moves the frames that match to the front, in their order; returns how many.
    fn sift(&mut self, frames: &mut [Frame<'_>]) -> Result<usize, String> {
        let mut kept = 0_usize;
        for at in 0..frames.len() {
            let Some(frame) = frames.get(at).copied() else { break };
            if self.takes(&frame)? {
                if let Some(place) = frames.get_mut(kept) {
                    *place = frame;
                }
                kept = kept.saturating_add(1);
            }
        }
        Ok(kept)
    }

    fn takes(&mut self, frame: &Frame<'_>) -> Result<bool, String> {
        let known = self.programs.iter().position(|(link, _)| *link == frame.link);
        let at = match known {
            Some(at) => at,
            None => {
                let program = self.expression.compile(frame.link, &Options::default());
                let program = program.map_err(|error| {
                    self.failed = true;
                    pointed(self.text, &error)
                })?;
                self.programs.push((frame.link, program));
                self.programs.len().saturating_sub(1)
            }
        };
        // `PACKET_HOST` and `PACKET_OUTGOING`, for inbound and outbound.
        let packet_type = match frame.direction {
            Direction::In => Some(0),
            Direction::Out => Some(4),
            Direction::Unknown => None,
        };
        let vlan = frame.vlan.map(|tag| tag.tci);
        let meta = Meta { vlan, packet_type, interface: Some(frame.iface.into()) };
        let takes = self
            .programs
            .get(at)
            .is_some_and(|(_, program)| program.matches(frame.data, frame.wire_len, &meta));
        self.left_out = self.left_out.saturating_add(u64::from(!takes));
        Ok(takes)
    }
}

/// An error with the expression and a mark below the place.
fn pointed(text: &str, error: &filter::Error) -> String {
    let before = text.get(..error.at).unwrap_or(text).chars().count();
    let end = error.at.saturating_add(error.len);
    let under = text.get(error.at..end).map_or(1, |part| part.chars().count()).max(1);
    // One line each, whatever the expression has in it.
    let line = plain(text);
    format!(
        "filter: {} at octet {}\n  {line}\n  {:before$}{}",
        error.problem,
        error.at,
        "",
        "^".repeat(under)
    )
}

fn explain(error: &Error) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

enum Format {
    Json,
    Csv,
    Summary(Summary),
    Telemetry(Box<Teller>),
}

/// Takes flows as they end and writes them out.
struct Report<W> {
    out: W,
    format: Format,
    failed: Option<io::Error>,
    file: String,
    /// What must be true of a flow that is told.
    wanted: Option<Wanted>,
}

const CSV_HEADER: &str = "file,proto,initiator_ip,initiator_port,responder_ip,responder_port,\
    first_seen,last_seen,packets_out,packets_in,bytes_out,bytes_in,state,end,vlan,tunnel,\
    retransmissions,out_of_order,resets,rtt_us,protocol,application,host,initiator_name,\
    responder_name\n";

impl<W: Write> Report<W> {
    fn header(&mut self) {
        if matches!(self.format, Format::Csv) {
            self.write(CSV_HEADER.as_bytes());
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.failed.is_none() {
            self.failed = self.out.write_all(bytes).err();
        }
    }

    /// Begins with a file.
    fn begin(&mut self, path: &str, engine: &Engine) {
        if let Format::Telemetry(teller) = &mut self.format {
            teller.begin(path, engine);
        }
    }

    /// Tells what has become known by now.
    fn advance(&mut self, now: Tick, engine: &Engine, counters: &Counters) {
        if let Format::Telemetry(teller) = &mut self.format {
            let mut lines = Vec::new();
            teller.write(&engine.lore, &mut lines);
            teller.advance(now, engine, counters, &mut lines);
            self.write(&lines);
        }
    }

    /// Tells what is told at the end of a file.
    fn end(&mut self, now: Tick, engine: &Engine, counters: &Counters) {
        if let Format::Telemetry(teller) = &mut self.format {
            let mut lines = Vec::new();
            teller.write(&engine.lore, &mut lines);
            teller.end_interval(now, engine, counters, &mut lines);
            self.write(&lines);
        }
    }

    fn csv(&mut self, told: &Labelled, lore: &Lore) {
        let Labelled { record, what } = told;
        let (from, to) = (&record.initiator, &record.responder);
        let tcp = record.tcp.unwrap_or_default();
        let sum = |a: u32, b: u32| a.saturating_add(b);
        let line = format!(
            "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n",
            quoted(&self.file),
            proto::text(record.proto),
            from.ip,
            from.port,
            to.ip,
            to.port,
            seconds(record.first_seen),
            seconds(record.last_seen),
            from.packets,
            to.packets,
            from.bytes,
            to.bytes,
            record.state.name(),
            record.end.map_or("", EndReason::name),
            record.vlan,
            record.tunnel.name(),
            sum(tcp.initiator.retransmissions, tcp.responder.retransmissions),
            sum(tcp.initiator.out_of_order.into(), tcp.responder.out_of_order.into()),
            sum(tcp.initiator.resets.into(), tcp.responder.resets.into()),
            tcp.rtt_server.map_or_else(String::new, |rtt| rtt.to_string()),
            called(what.protocol, what.is_guessed),
            quoted(lore.applications.get(what.application).map_or("", |known| &known.tag)),
            quoted(&String::from_utf8_lossy(what.facts.get(Fact::Host).unwrap_or_default())),
            quoted(lore.names.name_of(from.ip).unwrap_or_default()),
            quoted(lore.names.name_of(to.ip).unwrap_or_default()),
        );
        self.write(line.as_bytes());
    }
}

impl<W: Write> Listener for Report<W> {
    fn detected(&mut self, flow: &Flow, id: FlowId, what: &Outcome, progress: Found, _: &Lore) {
        if let Format::Telemetry(teller) = &mut self.format {
            teller.telemetry.detected(flow, id, what, progress);
        }
    }

    fn ended(&mut self, flow: &Flow, id: FlowId, reason: EndReason, what: &Outcome, lore: &Lore) {
        if let Format::Telemetry(teller) = &mut self.format {
            return teller.telemetry.ended(flow, id, reason, what);
        }
        let record = || Record::new(flow, id, Some(reason));
        let told = || Labelled { record: record(), what: what.clone() };
        if let Some(wanted) = &self.wanted {
            let record = &record();
            let Lore { names, applications, .. } = lore;
            let around = Around::default();
            let applications = Some(applications);
            if !wanted.matches(&Asked { record, what, names, applications, around }) {
                return;
            }
        }
        match &mut self.format {
            Format::Telemetry(_) => {}
            Format::Json => {
                let mut line = Vec::with_capacity(1_024);
                let told = told();
                let row = netify::offline(&told, &self.file, &Clock::FILE, lore);
                json::row(&mut line, &row);
                line.push(b'\n');
                self.write(&line);
            }
            Format::Csv => self.csv(&told(), lore),
            Format::Summary(summary) => summary.add(flow, what),
        }
    }
}

/// A protocol as people read it: one that only a port suggests has a question mark.
fn called(protocol: Protocol, is_guessed: bool) -> String {
    [protocol.name(), if is_guessed { "?" } else { "" }].concat()
}

/// A field of comma-separated values (RFC 4180). Names come from the network: what a spreadsheet
/// would take for a formula gets an apostrophe before it, as they take that for text.
fn quoted(text: &str) -> String {
    let mut text = plain(text);
    if text.len() > 1 && text.starts_with(['=', '+', '-', '@']) {
        text.insert(0, '\'');
    }
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// Unix seconds with six decimals.
fn seconds(tick: Tick) -> String {
    format!("{}.{:06}", tick.secs(), tick.micros() % 1_000_000)
}

/// What the summary needs of flows that are gone.
#[derive(Default)]
struct Summary {
    flows: u64,
    transports: BTreeMap<u8, Sum>,
    /// Whether it is a guess beside it.
    protocols: BTreeMap<(Protocol, bool), Sum>,
    applications: BTreeMap<u16, Sum>,
    hosts: HashMap<std::net::IpAddr, Sum>,
    services: HashMap<(u8, u16), Sum>,
    hosts_left_out: u64,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    flows: u64,
    packets: u64,
    sent: u64,
    received: u64,
}

impl Sum {
    const fn add(&mut self, packets: u64, sent: u64, received: u64) {
        self.flows = self.flows.saturating_add(1);
        self.packets = self.packets.saturating_add(packets);
        self.sent = self.sent.saturating_add(sent);
        self.received = self.received.saturating_add(received);
    }

    const fn bytes(&self) -> u64 {
        self.sent.saturating_add(self.received)
    }
}

/// The sum of a key, if it has one or there is room for one more.
fn capped<K: Eq + Hash>(sums: &mut HashMap<K, Sum>, key: K) -> Option<&mut Sum> {
    if sums.len() < MAX_HOSTS { Some(sums.entry(key).or_default()) } else { sums.get_mut(&key) }
}

impl Summary {
    fn add(&mut self, flow: &Flow, what: &Outcome) {
        if flow.is_carrier() {
            return;
        }
        self.flows = self.flows.saturating_add(1);
        let (key, packets, bytes) = (flow.key(), flow.total_packets(), flow.bytes());
        let client = flow.initiator();
        let (sent, received) = (*bytes.of(client), *bytes.of(client.other()));
        self.transports.entry(key.proto).or_default().add(packets, sent, received);
        let protocol = (what.protocol, what.is_guessed);
        self.protocols.entry(protocol).or_default().add(packets, sent, received);
        if what.application != 0 {
            let sum = self.applications.entry(what.application).or_default();
            sum.add(packets, sent, received);
        }
        let service = (key.proto, *key.port.of(client.other()));
        if service.1 != 0
            && let Some(sum) = capped(&mut self.services, service)
        {
            sum.add(packets, sent, received);
        }
        let local = flow.orientation().local().unwrap_or(client);
        for side in [local, local.other()] {
            match capped(&mut self.hosts, key.ip(side)) {
                Some(sum) => sum.add(packets, *bytes.of(side), *bytes.of(side.other())),
                None => self.hosts_left_out = self.hosts_left_out.saturating_add(1),
            }
        }
    }

    fn print(
        &self,
        out: &mut impl Write,
        arguments: &Read,
        engine: &Engine,
        counters: &Counters,
        span: &Span,
        left_out: u64,
    ) -> io::Result<()> {
        let first = span.first.unwrap_or_default();
        let micros = span.last.since(first);
        let all = engine.totals.all();
        writeln!(out, "files      {}", arguments.files.len())?;
        writeln!(out, "packets    {}", grouped(all.packets))?;
        writeln!(out, "bytes      {} ({})", grouped(all.bytes), volume(all.bytes))?;
        writeln!(out, "flows      {}", grouped(self.flows))?;
        if all.packets > 0 {
            writeln!(out, "first      {}", Clock::FILE.wall_of(first).rfc3339())?;
            writeln!(out, "last       {}", Clock::FILE.wall_of(span.last).rfc3339())?;
            writeln!(out, "duration   {}.{:03} s", micros / 1_000_000, micros / 1_000 % 1_000)?;
        }
        if let Some(rate) = all.bytes.saturating_mul(8_000_000).checked_div(micros) {
            writeln!(out, "mean rate  {}bit/s", scaled(rate))?;
        }
        for (name, count) in [
            ("left out", left_out),
            ("not IP", counters.not_ip),
            ("damaged", counters.decode_errors),
            ("too deep", counters.decode_limit),
            ("cut short", counters.decode_truncated),
            ("evicted", counters.flows_evicted),
        ] {
            if count > 0 {
                writeln!(out, "{name:<10} {}", grouped(count))?;
            }
        }
        let transport = |number: u8| proto::text(number).into_owned();
        let mut rows = sums(&self.transports, |number| transport(*number));
        table(out, "transport", &mut rows, arguments.top)?;
        let mut rows = sums(&self.protocols, |(protocol, guessed)| called(*protocol, *guessed));
        table(out, "protocol", &mut rows, arguments.top)?;
        let mut rows = sums(&self.applications, |id| {
            engine
                .lore
                .applications
                .get(*id)
                .map_or_else(String::new, |known| known.tag.to_string())
        });
        table(out, "application", &mut rows, arguments.top)?;
        let mut rows = sums(&self.services, |(p, port)| format!("{}/{port}", transport(*p)));
        table(out, "service", &mut rows, arguments.top)?;
        let named = |ip: std::net::IpAddr| match engine.lore.names.name_of(ip) {
            Some(name) => [name, " ", &ip.to_string()].concat(),
            None => ip.to_string(),
        };
        let mut rows = sums(&self.hosts, |ip| named(*ip));
        table(out, "top talker", &mut rows, arguments.top)?;
        if self.hosts_left_out > 0 {
            let left_out = grouped(self.hosts_left_out);
            writeln!(out, "(flow ends beyond the first {MAX_HOSTS} hosts: {left_out})")?;
        }
        Ok(())
    }
}

/// Rows of a table.
fn sums<'a, K: 'a>(
    sums: impl IntoIterator<Item = (&'a K, &'a Sum)>,
    name: impl Fn(&K) -> String,
) -> Vec<(String, Sum)> {
    sums.into_iter().map(|(key, sum)| (name(key), *sum)).collect()
}

fn table(
    out: &mut impl Write,
    title: &str,
    rows: &mut [(String, Sum)],
    most: usize,
) -> io::Result<()> {
    if rows.is_empty() || most == 0 {
        return Ok(());
    }
    rows.sort_unstable_by(|(a, x), (b, y)| y.bytes().cmp(&x.bytes()).then_with(|| a.cmp(b)));
    let shown = rows.get(..most).unwrap_or(rows);
    let width = shown.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(title.len());
    writeln!(
        out,
        "\n{title:<width$} {:>9} {:>11} {:>10} {:>10} {:>10}",
        "flows", "packets", "sent", "received", "total"
    )?;
    for (name, sum) in shown {
        writeln!(
            out,
            "{name:<width$} {:>9} {:>11} {:>10} {:>10} {:>10}",
            sum.flows,
            sum.packets,
            volume(sum.sent),
            volume(sum.received),
            volume(sum.bytes()),
        )?;
    }
    if rows.len() > most {
        writeln!(
            out,
            "(and {} more: -n {} shows them)",
            rows.len().saturating_sub(most),
            rows.len()
        )?;
    }
    Ok(())
}

/// A number with blanks between groups of three digits.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Bytes in SI units.
fn volume(bytes: u64) -> String {
    format!("{}B", scaled(bytes))
}

/// A number with an SI prefix, three digits and a blank.
fn scaled(value: u64) -> String {
    const PREFIXES: [&str; 6] = ["", "k", "M", "G", "T", "P"];
    let mut whole = value;
    let mut tenths = 0;
    let mut prefix = PREFIXES.iter();
    let mut name = prefix.next().unwrap_or(&"");
    while whole >= 1_000 {
        let Some(next) = prefix.next() else { break };
        name = next;
        tenths = whole % 1_000 / 100;
        whole /= 1_000;
    }
    if name.is_empty() || whole >= 100 {
        format!("{whole} {name}")
    } else {
        format!("{whole}.{tenths} {name}")
    }
}

/// A line on standard error that is written over and over, if that is a terminal.
struct Progress<'a> {
    name: &'a str,
    size: Option<u64>,
    since: Instant,
    shown: Option<Instant>,
    is_terminal: bool,
}

impl<'a> Progress<'a> {
    fn new(name: &'a str, size: Option<u64>) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { name, size, since: Instant::now(), shown: None, is_terminal }
    }

    fn show(&mut self, packets: u64, consumed: u64) {
        let now = Instant::now();
        let last = self.shown.unwrap_or(self.since);
        if !self.is_terminal || now.duration_since(last).as_millis() < 200 {
            return;
        }
        self.shown = Some(now);
        let millis = u64::try_from(now.duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        // Only shown, so rounding is fine.
        let rate = packets.saturating_mul(1_000).checked_div(millis).unwrap_or(0);
        let part = self.size.filter(|size| *size > 0).map(|size| {
            let percent = consumed.saturating_mul(100).checked_div(size).unwrap_or(0);
            let left = size.saturating_sub(consumed).saturating_mul(millis) / 1_000;
            let left = left.checked_div(consumed).unwrap_or(0);
            format!(", {percent} %, {left} s left")
        });
        eprint!(
            "\r\x1b[K{}: {} packets, {}packets/s{}",
            self.name.escape_default(),
            grouped(packets),
            scaled(rate),
            part.unwrap_or_default()
        );
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_on_the_eye() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(999), "999");
        assert_eq!(volume(999), "999 B");
        assert_eq!(volume(1_250), "1.2 kB");
        assert_eq!(volume(123_456_789), "123 MB");
    }

    #[test]
    fn a_wrong_filter_is_pointed_at() {
        let text = "host 1.2.3.4 and prot 80";
        let problem = Filter::new(text).map(|_| ()).unwrap_err();
        let lines: Vec<_> = problem.lines().collect();
        assert_eq!(lines.len(), 3, "{problem}");
        assert_eq!(lines[1], "  host 1.2.3.4 and prot 80");
        assert_eq!(lines[2], "                   ^^^^");
    }

    #[test]
    fn a_name_with_a_comma_stays_one_field() {
        assert_eq!(quoted("a,\"b\".pcap"), "\"a,\"\"b\"\".pcap\"");
        assert_eq!(quoted("a\n\x1b[2J\u{202e}"), "a ?[2J?");
        assert_eq!(quoted("=cmd|' /C calc'!A0,"), "\"'=cmd|' /C calc'!A0,\"");
    }
}
