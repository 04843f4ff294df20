//! What a device is, as far as its traces tell: kind and operating system, how sure that is, and
//! why. Every trace that speaks for something adds to it; the rules are from what makers document
//! and what anybody can see in the open.

use std::sync::OnceLock;

use super::super::names::Source;
use super::device::{Device, Trace};
use crate::packed::Packed;
use crate::wire::vendor;

/// A guess.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Guess {
    /// What it is; empty if nothing tells.
    pub what: &'static str,
    /// How sure, in per cent.
    pub confidence: u8,
    /// Why, in words; texts of the network among them.
    pub reason: String,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum On {
    /// The class of DHCP begins with it.
    Class,
    /// The options of DHCP are these.
    Options,
    /// A user agent has it in it.
    Agent,
    /// A service is of this type.
    Service,
    /// A kind of SSDP has it in it.
    Role,
    /// A server's name has it in it.
    Server,
    /// A model begins with it.
    Model,
    /// A host asked for ends with it.
    Contact,
    /// The vendor is this one.
    Vendor,
    /// One of its names has it in it.
    Name,
}

impl On {
    /// With the names in the file of rules, and as reasons begin.
    const ALL: [(Self, &'static str, &'static str); 10] = [
        (Self::Class, "class", "DHCP class "),
        (Self::Options, "options", "DHCP options "),
        (Self::Agent, "agent", "user agent "),
        (Self::Service, "service", "mDNS service "),
        (Self::Role, "role", "SSDP type "),
        (Self::Server, "server", "server "),
        (Self::Model, "model", "model "),
        (Self::Contact, "contact", "asks for "),
        (Self::Vendor, "vendor", "vendor "),
        (Self::Name, "name", "name "),
    ];
}

/// What speaks for what.
#[derive(Clone, Copy, Debug)]
struct Rule {
    on: On,
    has: &'static str,
    kind: &'static str,
    os: &'static str,
    /// How much it speaks for them, in per cent.
    weight: u8,
}

const ROUTER: &str = "router";

/// Rules, one a line, below the name of what they look at: what it has, the kind and the system
/// that this speaks for, either of them perhaps empty, and how much in per cent.
static RULES: Packed = Packed::new(include_bytes!(concat!(env!("OUT_DIR"), "/traces.txt")));

/// All rules, in their order.
fn rules() -> impl Iterator<Item = Rule> {
    let mut on = None;
    RULES.text().lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix('=') {
            on = On::ALL.iter().find(|(_, known, _)| *known == name).map(|(on, ..)| *on);
            return None;
        }
        let mut parts = line.split('|');
        let (has, kind, os) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Rule { on: on?, has, kind, os, weight: parts.next()?.parse().ok()? })
    })
}

/// Reasons that are told of one guess.
const MAX_REASONS: usize = 3;

/// Octets of a text of the network that are shown in a reason.
const MAX_SHOWN: usize = 48;

/// Hosts that are worth remembering who asks for them. As this is asked for each flow, they are
/// looked for in the file once.
pub(super) fn is_telling(host: &str) -> bool {
    static HOSTS: OnceLock<Vec<&str>> = OnceLock::new();
    let contacts = || rules().filter(|rule| rule.on == On::Contact).map(|rule| rule.has);
    HOSTS.get_or_init(|| contacts().collect()).iter().any(|known| ends_with_host(host, known))
}

/// What a device is and which operating system it has. `names` are those of its addresses too.
#[must_use]
pub fn guess(device: &Device, names: &[(Source, &str)]) -> (Guess, Guess) {
    let vendor = vendor::of(device.mac);
    let matched = |rule: Rule| Some((rule, matched(&rule, device, vendor, names)?));
    let found: Vec<(Rule, &str)> = rules().filter_map(matched).collect();
    let mut kind = combine(&found, |rule| rule.kind);
    let os = combine(&found, |rule| rule.os);
    if device.is_router && kind.confidence < 80 {
        let reason = "it announces itself as a router".to_owned();
        kind = Guess { what: ROUTER, confidence: 80, reason };
    }
    (kind, os)
}

/// The text of a device that a rule speaks of.
fn matched<'a>(
    rule: &Rule,
    device: &'a Device,
    vendor: Option<&'static str>,
    names: &[(Source, &'a str)],
) -> Option<&'a str> {
    let has = rule.has;
    let traces = |trace| device.traces(trace);
    match rule.on {
        On::Class => traces(Trace::DhcpClass).find(|text| starts(text, has)),
        On::Options => traces(Trace::DhcpOptions).find(|text| *text == has),
        On::Agent => traces(Trace::UserAgent).find(|text| text.contains(has)),
        On::Service => traces(Trace::Service).find(|text| text.eq_ignore_ascii_case(has)),
        On::Role => traces(Trace::Role).find(|text| text.contains(has)),
        On::Server => traces(Trace::Server).find(|text| contains(text, has)),
        On::Model => traces(Trace::Model).find(|text| starts(text, has)),
        On::Contact => traces(Trace::Contact).find(|text| ends_with_host(text, has)),
        On::Vendor => vendor.filter(|vendor| *vendor == has),
        On::Name => names.iter().map(|(_, name)| *name).find(|name| contains(name, has)),
    }
}

/// Puts together what speaks for each thing, and takes what most speaks for.
fn combine(found: &[(Rule, &str)], what: fn(&Rule) -> &'static str) -> Guess {
    let mut best = Guess::default();
    for (at, (rule, _)) in found.iter().enumerate() {
        let thing = what(rule);
        let before = found.get(..at).unwrap_or_default();
        if thing.is_empty() || before.iter().any(|(rule, _)| what(rule) == thing) {
            continue;
        }
        let mut doubt = 10_000_u32;
        let mut reasons: Vec<(u8, String)> = Vec::new();
        for (rule, text) in found.iter().filter(|(rule, _)| what(rule) == thing) {
            let rest = 100_u32.saturating_sub(rule.weight.into());
            doubt = doubt.saturating_mul(rest) / 100;
            reasons.push((rule.weight, reason(rule.on, text)));
        }
        let confidence = 100_u32.saturating_sub(doubt.div_ceil(100)).min(99);
        let confidence = u8::try_from(confidence).unwrap_or(99);
        if confidence > best.confidence {
            reasons.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
            let texts: Vec<String> =
                reasons.into_iter().take(MAX_REASONS).map(|(_, reason)| reason).collect();
            best = Guess { what: thing, confidence, reason: texts.join("; ") };
        }
    }
    best
}

fn reason(on: On, text: &str) -> String {
    let before = On::ALL.iter().find(|(known, ..)| *known == on).map_or("", |(.., text)| text);
    let end = (0..=text.len().min(MAX_SHOWN)).rev().find(|end| text.is_char_boundary(*end));
    let mut out = String::from(before);
    out.push_str(text.get(..end.unwrap_or(0)).unwrap_or_default());
    out
}

fn starts(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

fn contains(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// The host itself, or one below it.
fn ends_with_host(host: &str, suffix: &str) -> bool {
    let Some(at) = host.len().checked_sub(suffix.len()) else { return false };
    let tail = host.as_bytes().get(at..).unwrap_or_default();
    let before = at.checked_sub(1).and_then(|at| host.as_bytes().get(at));
    tail.eq_ignore_ascii_case(suffix.as_bytes()) && before.is_none_or(|octet| *octet == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Tick;

    fn device(mac: [u8; 6], traces: &[(Trace, &str)]) -> Device {
        let mut device = Device::new(mac, 0, Tick(1));
        for (trace, text) in traces {
            device.keep(*trace, (*text).into());
        }
        device
    }

    fn guessed(traces: &[(Trace, &str)], names: &[&str]) -> (&'static str, &'static str) {
        let names: Vec<_> = names.iter().map(|name| (Source::Dhcp, *name)).collect();
        let (kind, os) = guess(&device([2, 0, 0, 0, 0, 1], traces), &names);
        (kind.what, os.what)
    }

    #[test]
    fn common_devices_are_told_by_what_they_let_slip() {
        use Trace as T;
        let windows = "1,3,6,15,31,33,43,44,46,47,119,121,249,252";
        for (traces, names, expected) in [
            (
                &[(T::DhcpClass, "MSFT 5.0"), (T::DhcpOptions, windows)][..],
                &[][..],
                ("computer", "Windows"),
            ),
            (&[(T::DhcpClass, "android-dhcp-13")], &["Pixel-7"], ("phone", "Android")),
            (
                &[(T::DhcpOptions, "1,121,3,6,15,108,114,119,252")],
                &["Johns-iPhone"],
                ("phone", "iOS"),
            ),
            (
                &[(T::Service, "_ipp._tcp"), (T::Service, "_pdl-datastream._tcp")],
                &[],
                ("printer", ""),
            ),
            (&[(T::Server, "Linux UPnP/1.0 Sonos/70.3 (ZPS9)")], &[], ("speaker", "Linux")),
            (
                &[(T::UserAgent, "Mozilla/5.0 (Web0S; Linux/SmartTV) x")],
                &["LGwebOSTV"],
                ("tv", "webOS"),
            ),
            (
                &[(T::Model, "MacBookPro18,3"), (T::Service, "_airplay._tcp")],
                &[],
                ("laptop", "macOS"),
            ),
            (&[(T::Contact, "a.srv.nintendo.net")], &[], ("game console", "")),
            (&[], &["thing"], ("", "")),
        ] {
            assert_eq!(guessed(traces, names), expected, "{traces:?} {names:?}");
        }
    }

    #[test]
    fn what_speaks_for_the_same_adds_up_and_is_told() {
        let one = device([2, 0, 0, 0, 0, 1], &[(Trace::DhcpClass, "MSFT 5.0")]);
        let (kind, os) = guess(&one, &[]);
        assert_eq!((kind.confidence, os.confidence), (80, 80));
        assert_eq!(os.reason, "DHCP class MSFT 5.0");
        let two = device(
            [2, 0, 0, 0, 0, 1],
            &[(Trace::DhcpClass, "MSFT 5.0"), (Trace::UserAgent, "Microsoft NCSI")],
        );
        let (_, os) = guess(&two, &[]);
        assert_eq!(os.confidence, 98);
        assert_eq!(os.reason, "user agent Microsoft NCSI; DHCP class MSFT 5.0");
    }

    #[test]
    fn nothing_is_certain_and_every_rule_can_match() {
        let lines = RULES.text().lines().filter(|line| !line.starts_with('=')).count();
        assert_eq!(rules().count(), lines);
        for Rule { on, has, kind, os, weight } in rules() {
            assert!((1..100).contains(&weight), "{has}");
            assert!(!has.is_empty(), "{kind} {os}");
            assert!(!(kind.is_empty() && os.is_empty()), "{has}");
            if on == On::Vendor && cfg!(feature = "vendors") {
                let table = include_str!("../../wire/vendors.txt");
                let known = table.lines().any(|line| line.split('=').next() == Some(has));
                assert!(known, "no vendor is called {has}");
            }
        }
    }

    #[test]
    fn a_host_is_itself_or_one_below() {
        assert!(ends_with_host("a.tuyaeu.com", "tuyaeu.com"));
        assert!(ends_with_host("TUYAEU.com", "tuyaeu.com"));
        assert!(!ends_with_host("nottuyaeu.com", "tuyaeu.com"));
        assert!(is_telling("dns.msftncsi.com") && !is_telling("example.com"));
    }
}
