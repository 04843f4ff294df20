//! The words in which people and programs order packets: names and values of a query string, of
//! a JSON request or of a command line become an [`Order`] and a [`Selection`], by the same
//! rules on every interface. The names are those of Packetflix, and more of our own.

use crate::filter::names::BuiltIn;
use crate::filter::{Expression, MAX_TEXT};
use crate::text::Quoted;

use super::order::{
    Format, Limits, MAX_PORTS, MAX_TARGETS, Order, Recording, Refused, SNAPLEN, Selection, Target,
    Thinning, Why,
};
use super::target;

/// Filters of what is left out, in one order.
const MAX_EXCLUDED: usize = 16;

/// Every name that is understood.
pub const NAMES: &[&str] = &[
    "app",
    "bytes",
    "capture",
    "chaste",
    "container",
    "count",
    "device",
    "duration",
    "exclude",
    "file",
    "files",
    "filter",
    "flow",
    "format",
    "gremlin",
    "host",
    "maxrate",
    "name",
    "netns",
    "nif",
    "payload",
    "pid",
    "prefix",
    "promiscuous",
    "sample",
    "self",
    "since",
    "snaplen",
    "starttime",
];

/// What an order is about if it names no target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fallback {
    /// It is refused, as capture clients know it.
    None,
    /// The agent's own namespace.
    Own,
}

/// An order as it was put, before it is looked up what it means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// What is clear by itself.
    pub order: Order,
    /// What the agent has to look up.
    pub selection: Selection,
    /// The stream itself may be in the stream.
    pub itself: bool,
}

/// Reads an order. Of a name that comes twice the first counts, but for `container` and
/// `exclude`: each is one more. Names that are not known are passed over.
///
/// # Errors
/// [`Why::Bad`] for what contradicts itself or is not of its kind.
pub fn parse<N, V>(pairs: &[(N, V)], fallback: Fallback) -> Result<Wish, Refused>
where
    N: AsRef<str>,
    V: AsRef<str>,
{
    let pairs = pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    Pairs { pairs }.wish(fallback)
}

/// Reads names and values as they stand in a query string, with blanks as they are.
#[must_use]
pub fn pairs_of(text: &str) -> Vec<(&str, &str)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect()
}

struct Pairs<'a> {
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> Pairs<'a> {
    fn wish(&self, fallback: Fallback) -> Result<Wish, Refused> {
        let selection = Selection {
            gremlin: self.text("gremlin"),
            flow: self.number("flow")?,
            app: self.text("app"),
            host: self.text("host"),
            device: self.text("device"),
            capture: self.text("capture"),
        };
        let mut targets = self.targets(&selection, fallback)?;
        if let Some(list) = self.get("nif").filter(|list| !["any", "all"].contains(list)) {
            let interfaces = target::interfaces(list.split('/').map(str::to_owned).collect())?;
            targets.iter_mut().for_each(|target| target.interfaces.clone_from(&interfaces));
        }
        let order = Order {
            targets,
            filter: self.get("filter").unwrap_or_default().trim().to_owned(),
            exclude: self.excluded()?,
            exclude_here: Vec::new(),
            snaplen: match self.number("snaplen")? {
                // As tcpdump has it.
                Some(0) | None => SNAPLEN,
                Some(octets) => u32::try_from(octets).unwrap_or(u32::MAX),
            },
            promiscuous: self.get("chaste").is_none() && self.switch("promiscuous")? != Some(false),
            format: match self.get("format") {
                None | Some("pcapng") => Format::Pcapng,
                Some("pcap") => Format::Pcap,
                Some(_) => return Err(bad("format: expected pcapng or pcap")),
            },
            limits: Limits {
                packets: self.positive("count")?,
                octets: self.octets("bytes")?,
                micros: self.time("duration")?,
            },
            thinning: Thinning {
                sample: self.sample()?,
                rate: self.positive("maxrate")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
                headers: match self.get("payload") {
                    None | Some("all") => false,
                    Some("headers") => true,
                    Some(_) => return Err(bad("payload: expected headers or all")),
                },
            },
            since: self.time("since")?,
            recording: self.recording()?,
            by: String::new(),
        };
        Ok(Wish { order, selection, itself: self.switch("self")? == Some(true) })
    }

    fn targets(&self, selection: &Selection, fallback: Fallback) -> Result<Vec<Target>, Refused> {
        let mut containers = self.all("container").peekable();
        let netns = self.get("netns");
        if containers.peek().is_some() {
            if netns.is_some() {
                return Err(bad("container and netns query parameters are mutually exclusive"));
            }
            for other in ["name", "pid", "gremlin", "capture"] {
                if self.get(other).is_some() {
                    let text = "query parameters are mutually exclusive";
                    return Err(bad(format!("container and {other} {text}")));
                }
            }
            let targets: Vec<Target> = containers
                .take(MAX_TARGETS.saturating_add(1))
                .map(target::parse)
                .collect::<Result<_, _>>()?;
            if targets.len() > MAX_TARGETS {
                return Err(bad(format!("expected at most {MAX_TARGETS} targets")));
            }
            return Ok(targets);
        }
        let netns = netns
            .map(|text| {
                let number = text.parse::<i64>().ok().and_then(|number| u64::try_from(number).ok());
                let invalid = || bad(format!("invalid netns {}", Quoted(text)));
                number.filter(|number| *number > 0).ok_or_else(invalid)
            })
            .transpose()?;
        let target = Target {
            netns: netns.unwrap_or(0),
            pid: self.positive("pid")?.map_or(0, |pid| u32::try_from(pid).unwrap_or(u32::MAX)),
            starttime: self.number("starttime")?.unwrap_or(0),
            name: self.text("name").unwrap_or_default(),
            prefix: self.text("prefix").unwrap_or_default(),
            ..Target::default()
        };
        if target.is_own() && *selection == Selection::default() && fallback == Fallback::None {
            return Err(bad("either container or netns query parameter required"));
        }
        Ok(vec![target])
    }

    fn excluded(&self) -> Result<Vec<String>, Refused> {
        let mut all = Vec::new();
        for text in self.all("exclude").map(str::trim).filter(|text| !text.is_empty()) {
            if all.len() >= MAX_EXCLUDED || text.len() > MAX_TEXT {
                return Err(bad("exclude: too many, or too long"));
            }
            if let Err(error) = Expression::parse(text, &BuiltIn) {
                return Err(bad(format!("exclude: {error}: {text}")));
            }
            all.push(text.to_owned());
        }
        Ok(all)
    }

    fn recording(&self) -> Result<Option<Recording>, Refused> {
        let Some(name) = self.get("file") else { return Ok(None) };
        let files = self.positive("files")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        if !is_file_name(name) {
            return Err(bad(
                "file: expected a name of 1 to 64 letters, digits, dots, dashes and underscores \
                 that begins with none of the latter",
            ));
        }
        Ok(Some(Recording { name: name.to_owned(), files, folder: String::new(), most: 0 }))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Refused> {
        let wrong = || bad(format!("{name}: expected a whole number"));
        self.get(name).map(|text| text.trim().parse().map_err(|_| wrong())).transpose()
    }

    fn positive(&self, name: &str) -> Result<Option<u64>, Refused> {
        match self.number(name)? {
            Some(0) => Err(bad(format!("{name}: expected at least 1"))),
            number => Ok(number),
        }
    }

    fn octets(&self, name: &str) -> Result<Option<u64>, Refused> {
        let wrong = || bad(format!("{name}: expected a number of octets, such as 65536 or 10M"));
        let octets = self.get(name).map(|text| octets(text.trim()).filter(|n| *n > 0));
        octets.map(|octets| octets.ok_or_else(wrong)).transpose()
    }

    fn time(&self, name: &str) -> Result<Option<u64>, Refused> {
        let wrong = || bad(format!("{name}: expected a time such as 30s, 500ms or 5m"));
        let time = self.get(name).map(|text| micros(text.trim()).filter(|n| *n > 0));
        time.map(|time| time.ok_or_else(wrong)).transpose()
    }

    fn switch(&self, name: &str) -> Result<Option<bool>, Refused> {
        let wrong = || bad(format!("{name}: expected 1 or 0"));
        self.get(name)
            .map(|text| match text {
                "1" | "yes" | "true" | "on" | "" => Ok(true),
                "0" | "no" | "false" | "off" => Ok(false),
                _ => Err(wrong()),
            })
            .transpose()
    }

    fn sample(&self) -> Result<Option<u32>, Refused> {
        let Some(text) = self.get("sample") else { return Ok(None) };
        let number = text.strip_prefix("1/").unwrap_or(text).parse::<u32>().ok();
        let wrong = || bad("sample: expected a number N or 1/N, for one packet of N");
        let number = number.filter(|number| *number > 0).ok_or_else(wrong)?;
        Ok(Some(number).filter(|number| *number > 1))
    }
}

/// Interfaces that one target may name.
pub(super) const MAX_INTERFACES: usize = MAX_PORTS;

pub(super) fn bad(text: impl Into<String>) -> Refused {
    Refused::new(Why::Bad, text)
}

/// A time in microseconds: a number, perhaps with a fraction, of seconds or of the unit behind
/// it.
#[must_use]
pub fn micros(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let scale: u64 = match unit {
        "us" => 1,
        "ms" => 1_000,
        "" | "s" => 1_000_000,
        "m" | "min" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let digits = u32::try_from(fraction.len()).ok()?;
    let part = fraction.parse::<u64>().ok()?.checked_mul(scale)?;
    whole.checked_add(part.checked_div(10_u64.checked_pow(digits)?)?)
}

/// A number of octets, perhaps in the unit behind it.
#[must_use]
pub fn octets(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let scale: u64 = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(scale)
}

/// Whether a file may be called so: nothing that leads out of a folder, hides in it, or is taken
/// for an option.
#[must_use]
pub fn is_file_name(name: &str) -> bool {
    let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=64).contains(&name.len())
        && name.chars().all(usable)
        && name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(query: &str) -> Result<Wish, Refused> {
        parse(&pairs_of(query), Fallback::None)
    }

    fn refused(query: &str) -> String {
        let refused = wish(query).unwrap_err();
        assert_eq!(refused.why, Why::Bad, "{query}");
        refused.text
    }

    fn interfaces(query: &str) -> Vec<String> {
        wish(query).unwrap().order.targets.remove(0).interfaces
    }

    #[test]
    fn a_target_is_named_once() {
        let both = "container and netns query parameters are mutually exclusive";
        assert_eq!(refused("container={}&netns=5"), both);
        let neither = "either container or netns query parameter required";
        assert_eq!(refused("filter=tcp&nif=a"), neither);
        assert_eq!(parse(&pairs_of("nif=a"), Fallback::Own).unwrap().order.targets.len(), 1);
        for wrong in ["", "0", "-5", "x", "0x10", "5 ", "9223372036854775808"] {
            let text = format!("invalid netns {wrong:?}");
            assert_eq!(refused(&format!("netns={wrong}&filter=")), text, "{wrong}");
        }
        assert_eq!(wish("netns=4026531840&netns=7").unwrap().order.targets[0].netns, 4_026_531_840);
        assert!(wish("name=web-1").is_ok() && wish("flow=12").is_ok());
        assert!(refused("container={\"netns\":1}&name=x").contains("container and name"));
    }

    #[test]
    fn several_containers_are_several_targets() {
        let order = wish("container={\"netns\":5}&container={\"name\":\"b\"}").unwrap().order;
        assert_eq!(order.targets.len(), 2);
        assert_eq!((order.targets[0].netns, &*order.targets[1].name), (5, "b"));
        let many = "container={\"netns\":5}&".repeat(MAX_TARGETS + 1);
        assert!(refused(&many).contains("at most"));
    }

    #[test]
    fn interfaces_are_parted_by_slashes_alone() {
        let listed = "container={\"netns\":5,\"network-interfaces\":[\"c0\"]}";
        assert_eq!(interfaces("netns=5&nif=x,1/b0"), ["x,1", "b0"]);
        assert_eq!(interfaces("netns=5&nif=a0/a0/b0/"), ["a0", "b0"]);
        assert_eq!(interfaces(listed), ["c0"]);
        assert_eq!(interfaces(&format!("{listed}&nif=a0/b0&nif=d0")), ["a0", "b0"]);
        for none in ["any", "all"] {
            assert_eq!(interfaces(&format!("{listed}&nif={none}")), ["c0"]);
            assert!(interfaces(&format!("netns=5&nif={none}")).is_empty());
            assert!(interfaces(&format!("netns=5&nif=a0/{none}")).is_empty());
        }
        assert!(interfaces(&format!("{listed}&nif=")).is_empty());
        assert!(interfaces(&format!("{listed}&nif=/a0")).is_empty());
        assert!(refused("netns=5&nif=a/b\0c").contains("interface"));
    }

    #[test]
    fn chastity_is_a_matter_of_presence() {
        assert!(wish("netns=5").unwrap().order.promiscuous);
        for query in ["chaste", "chaste=", "chaste=false", "promiscuous=0"] {
            assert!(!wish(&format!("netns=5&{query}")).unwrap().order.promiscuous, "{query}");
        }
    }

    #[test]
    fn everything_else_finds_its_place() {
        let query = "netns=5&filter= tcp port 80 &snaplen=96&count=10&bytes=2K&duration=1.5s\
                     &maxrate=100&sample=1/64&payload=headers&format=pcap&since=500ms&flow=7\
                     &app=dns&host=h&device=d&gremlin=G.V()&self=1&exclude=port 22";
        let Wish { order, selection, itself } = wish(query).unwrap();
        assert_eq!(
            (&*order.filter, order.snaplen, order.format),
            ("tcp port 80", 96, Format::Pcap)
        );
        let limits = Limits { packets: Some(10), octets: Some(2_048), micros: Some(1_500_000) };
        assert_eq!(order.limits, limits);
        let thinning = Thinning { sample: Some(64), rate: Some(100), headers: true };
        assert_eq!((order.thinning, order.since), (thinning, Some(500_000)));
        assert_eq!(order.exclude, ["port 22"]);
        assert_eq!(
            (selection.flow, selection.app.as_deref(), itself),
            (Some(7), Some("dns"), true)
        );
        assert_eq!(wish("netns=5&snaplen=0").unwrap().order.snaplen, SNAPLEN);
        for wrong in [
            "count=0",
            "count=x",
            "count=",
            "bytes=1T",
            "bytes=99999999999G",
            "duration=5d",
            "duration=.s",
            "duration=99999999999999999999",
            "sample=0",
            "sample=2/3",
            "maxrate=-1",
            "payload=none",
            "format=erf",
            "since=yesterday",
            "flow=x",
            "pid=0",
            "exclude=prot 22",
            "self=maybe",
            "file=../x",
            "file=",
        ] {
            let text = refused(&format!("netns=5&{wrong}"));
            assert!(text.starts_with(wrong.split('=').next().unwrap()), "{wrong}: {text}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, expected) in [
            ("30", Some(30_000_000)),
            ("30s", Some(30_000_000)),
            ("250ms", Some(250_000)),
            ("0.25", Some(250_000)),
            ("5m", Some(300_000_000)),
            ("1h", Some(3_600_000_000)),
            ("1.", None),
            ("-1", None),
            ("", None),
            ("1 s", None),
        ] {
            assert_eq!(micros(text), expected, "{text:?}");
        }
    }

    #[test]
    fn files_stay_in_their_folder() {
        for good in ["a", "evening.pcapng", "2026-01-02_x.pcap"] {
            assert!(is_file_name(good), "{good}");
        }
        let long = "x".repeat(65);
        for wrong in ["", ".", "..", "../a", "a/b", ".a", "-a", "a b", "a\0", "é", &*long] {
            assert!(!is_file_name(wrong), "{wrong:?}");
        }
    }
}
