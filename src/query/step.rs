//! The steps: what they are called, what they take and what they make of it.

use std::net::IpAddr;
use std::rc::Rc;

use crate::filter::{self, names};
use crate::topology::graph::MAX_NODES;

use super::Error;
use super::moment::{Moment, Stretch, duration};
use super::parse::{List, Param, Value, filter, pairs};
use super::predicate::{Filter, Literal, Test};
use super::subject::Key;

/// One step of a query.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Octets of the query before it.
    pub at: usize,
    /// What it is called.
    pub name: &'static str,
    pub what: What,
}

/// What goes from one step to the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    Edges,
    Flows,
    Graph,
    Groups,
    Metrics,
    NextHops,
    Nodes,
    Packets,
    Paths,
    Scalar,
    Sockets,
    Values,
}

/// Which way an edge is followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Both,
    /// From parent to child.
    Down,
    /// From child to parent.
    Up,
}

/// A node that a flow leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    A,
    B,
    Capture,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum What {
    Aggregates {
        millis: i64,
    },
    AllEdges,
    AllNodes,
    As(Rc<str>),
    Bpf(Rc<filter::Expression>),
    Context(Stretch),
    Count,
    Dedup(Rc<[Key]>),
    Edge(Rc<str>),
    /// Edges at nodes.
    Edges(Way, Filter),
    /// Nodes at edges: down is the child, up the parent.
    Ends(Way, Filter),
    Filter(Filter),
    /// Nodes of flows.
    FlowNodes(&'static [End], Filter),
    Flows,
    Graph,
    /// By the identity without hardware addresses, or by that with them.
    Group {
        l3: bool,
    },
    Keys,
    /// Nodes within some steps over edges; no depth is no bound.
    Kin {
        way: Way,
        edges: Filter,
        depth: usize,
    },
    Limit {
        from: usize,
        to: usize,
    },
    Metrics(Key),
    MoreThan(usize),
    NextHop(IpAddr),
    Node(Rc<str>),
    Path {
        to: Filter,
        over: Filter,
    },
    RawPackets,
    Select(Rc<[Rc<str>]>),
    Sockets,
    Sort {
        descending: bool,
        key: Option<Key>,
    },
    SubGraph(Filter),
    Sum(Option<Key>),
    ValueMap(Rc<[Key]>),
    Values(Key),
    Walk(Way, Filter),
}

/// The proper spelling of a step's name.
pub(super) fn name(text: &str) -> Option<&'static str> {
    const NAMES: &[&str] = &[
        "Aggregates",
        "As",
        "Ascendants",
        "Both",
        "BothE",
        "BothV",
        "BPF",
        "CaptureNode",
        "Context",
        "Count",
        "Dedup",
        "Descendants",
        "E",
        "Flows",
        "G",
        "Group",
        "Has",
        "HasEither",
        "HasKey",
        "HasNot",
        "Hops",
        "In",
        "InE",
        "InV",
        "Keys",
        "Limit",
        "Metrics",
        "MoreThan",
        "Neighbors",
        "NextHop",
        "Nodes",
        "Out",
        "OutE",
        "OutV",
        "Range",
        "RawPackets",
        "Select",
        "ShortestPathTo",
        "Sockets",
        "Sort",
        "SubGraph",
        "Sum",
        "V",
        "ValueMap",
        "Values",
    ];
    let other = match () {
        () if text.eq_ignore_ascii_case("At") => Some("Context"),
        () if text.eq_ignore_ascii_case("Node") => Some("CaptureNode"),
        () => None,
    };
    other.or_else(|| NAMES.iter().copied().find(|name| name.eq_ignore_ascii_case(text)))
}

impl Shape {
    const fn name(self) -> &'static str {
        match self {
            Self::Edges => "edges",
            Self::Flows => "flows",
            Self::Graph => "graph",
            Self::Groups => "flow groups",
            Self::Metrics => "metrics",
            Self::NextHops => "next hops",
            Self::Nodes => "nodes",
            Self::Packets => "raw packets",
            Self::Paths => "paths",
            Self::Scalar => "a number",
            Self::Sockets => "sockets",
            Self::Values => "values",
        }
    }
}

impl What {
    /// What it makes of `input`.
    pub(super) const fn shape(&self, input: Shape) -> Shape {
        match self {
            Self::Aggregates { .. } | Self::Metrics(_) => Shape::Metrics,
            Self::AllEdges | Self::Edge(_) | Self::Edges(..) => Shape::Edges,
            Self::AllNodes
            | Self::Ends(..)
            | Self::FlowNodes(..)
            | Self::Kin { .. }
            | Self::Node(_)
            | Self::Select(_)
            | Self::Walk(..) => Shape::Nodes,
            Self::Bpf(_) | Self::RawPackets => Shape::Packets,
            Self::Context(_) | Self::Graph | Self::SubGraph(_) => Shape::Graph,
            Self::Count | Self::Sum(_) => Shape::Scalar,
            Self::Dedup(_) if matches!(input, Shape::Paths) => Shape::Nodes,
            Self::As(_) | Self::Dedup(_) | Self::Filter(_) | Self::Limit { .. } => input,
            Self::Sort { .. } => input,
            Self::Flows => Shape::Flows,
            Self::Group { .. } | Self::MoreThan(_) => Shape::Groups,
            Self::Keys | Self::ValueMap(_) | Self::Values(_) => Shape::Values,
            Self::NextHop(_) => Shape::NextHops,
            Self::Path { .. } => Shape::Paths,
            Self::Sockets => Shape::Sockets,
        }
    }
}

/// Brings the steps that follow `Flows` into the order in which a flow table answers them:
/// filter, sort, dedup, slice.
pub(super) fn fold(steps: &mut [Step]) {
    let rank = |step: &Step| match step.what {
        What::Filter(_) => Some(0_u8),
        What::Sort { .. } => Some(1),
        What::Dedup(_) => Some(2),
        What::Limit { .. } => Some(3),
        _ => None,
    };
    let mut from = 0_usize;
    while let Some(flows) = steps.iter().skip(from).position(|s| matches!(s.what, What::Flows)) {
        let first = from.saturating_add(flows).saturating_add(1);
        let length = steps.iter().skip(first).take_while(|step| rank(step).is_some()).count();
        from = first.saturating_add(length);
        if let Some(run) = steps.get_mut(first..from) {
            run.sort_by_key(|step| rank(step));
        }
    }
}

/// The step of that name, for what it is applied to.
pub(super) fn build(
    name: &'static str,
    at: usize,
    params: &[Param],
    input: Shape,
) -> Result<What, Error> {
    use Shape::{Edges, Flows, Graph, Groups, Metrics, Nodes, Packets, Paths, Sockets, Values};
    let call = Call { name, at, params };
    let wrong = || Error::execution(at, format!("Invalid step '{name}' on '{}'", input.name()));
    Ok(match (name, input) {
        ("V", Graph) => call.id()?.map_or(What::AllNodes, What::Node),
        ("E", Graph) => call.id()?.map_or(What::AllEdges, What::Edge),
        ("Context", Graph) => What::Context(call.stretch()?),
        ("G", Graph | Nodes | Edges) => What::Graph,
        ("Has" | "HasEither", Flows | Sockets) => {
            What::Filter(call.flow_filter(name == "HasEither")?)
        }
        ("Has", Nodes | Edges | Values) => What::Filter(call.has(false)?),
        ("HasEither", Nodes | Edges) => What::Filter(call.has(true)?),
        ("HasKey", Nodes | Edges) => What::Filter(Filter::one(call.key_alone()?, Test::Present)),
        ("HasNot", Nodes | Edges) => What::Filter(Filter::one(call.key_alone()?, Test::Missing)),
        ("Out", Nodes) => What::Walk(Way::Down, call.filter()?),
        ("In", Nodes) => What::Walk(Way::Up, call.filter()?),
        ("Both", Nodes) => What::Walk(Way::Both, call.filter()?),
        ("OutE", Nodes) => What::Edges(Way::Down, call.filter()?),
        ("InE", Nodes) => What::Edges(Way::Up, call.filter()?),
        ("BothE", Nodes) => What::Edges(Way::Both, call.filter()?),
        ("InV", Edges) => What::Ends(Way::Up, call.filter()?),
        ("OutV", Edges) => What::Ends(Way::Down, call.filter()?),
        ("BothV", Edges) => What::Ends(Way::Both, call.filter()?),
        ("Out", Flows) => What::FlowNodes(&[End::B], call.filter()?),
        ("In", Flows) => What::FlowNodes(&[End::A], call.filter()?),
        ("Both", Flows) => What::FlowNodes(&[End::A, End::B], call.filter()?),
        ("Nodes", Flows) => What::FlowNodes(&[End::Capture, End::A, End::B], call.filter()?),
        ("Hops" | "CaptureNode", Flows) => What::FlowNodes(&[End::Capture], call.filter()?),
        ("Dedup", Nodes | Edges | Paths | Values) => What::Dedup(call.dedup_keys()?),
        ("Dedup", Flows) => {
            let keys = call.dedup_keys()?;
            if keys.len() > 1 {
                return Err(call.wrong("Dedup of flows accepts at most one key"));
            }
            What::Dedup(keys)
        }
        ("Count", Nodes | Edges | Paths | Values | Flows | Metrics) => {
            call.none("Count accepts no parameter")?;
            What::Count
        }
        ("Limit" | "Range", Nodes | Edges | Paths | Values | Flows) => call.limit()?,
        ("Sort", Nodes | Edges | Flows) => call.sort()?,
        ("Values", Nodes | Edges | Flows | Sockets) => What::Values(call.values_key()?),
        ("ValueMap", Nodes | Edges) => What::ValueMap(call.value_map_keys()?),
        ("Keys", Nodes | Edges | Flows | Metrics) => {
            call.none("Keys accepts no parameter")?;
            What::Keys
        }
        ("Sum", Nodes | Flows | Metrics) => What::Sum(call.sum_key(input)?),
        ("ShortestPathTo", Nodes) => call.path()?,
        ("SubGraph", Nodes | Edges | Paths) => What::SubGraph(call.filter()?),
        ("As", Nodes) => What::As(call.as_key()?),
        ("Select", Nodes | Graph) => What::Select(call.select_keys()?),
        ("Ascendants", Nodes) => call.kin(Way::Up)?,
        ("Descendants", Nodes) => call.kin(Way::Down)?,
        ("Neighbors", Nodes) => call.kin(Way::Both)?,
        ("NextHop", Nodes) => What::NextHop(call.address()?),
        ("Metrics", Nodes | Flows) => What::Metrics(call.metrics_key()?),
        ("Sockets", Nodes | Flows) => {
            call.none("Sockets requires no parameter")?;
            What::Sockets
        }
        ("Flows", Graph | Nodes | Paths) => What::Flows,
        ("Group", Flows) => What::Group { l3: call.group()? },
        ("MoreThan", Groups) => What::MoreThan(call.more_than()?),
        ("RawPackets", Flows) => {
            call.none("RawPackets accepts no parameter")?;
            What::RawPackets
        }
        ("BPF", Packets) => What::Bpf(Rc::new(call.expression()?)),
        ("Aggregates", Metrics) => What::Aggregates { millis: call.aggregates()? },
        _ => return Err(wrong()),
    })
}

/// The filter of flows that the parameters of a `Flows` step are.
pub(super) fn flows_filter(at: usize, params: &[Param]) -> Result<Option<Step>, Error> {
    if params.is_empty() {
        return Ok(None);
    }
    let filter = Call { name: "Flows", at, params }.flow_filter(false)?;
    Ok(Some(Step { at, name: "Flows", what: What::Filter(filter) }))
}

/// A step's name with its parameters.
struct Call<'a> {
    name: &'static str,
    at: usize,
    params: &'a [Param],
}

impl Call<'_> {
    /// An error that shows the parameters.
    fn wrong(&self, message: &str) -> Error {
        Error::syntax(self.place(), format!("{message} : {}", List(self.params)))
    }

    fn place(&self) -> usize {
        self.params.first().map_or(self.at, |param| param.at)
    }

    fn none(&self, message: &str) -> Result<(), Error> {
        if self.params.is_empty() { Ok(()) } else { Err(self.wrong(message)) }
    }

    fn id(&self) -> Result<Option<Rc<str>>, Error> {
        match self.params {
            [] => Ok(None),
            [id] => match id.value.text() {
                Some(id) => Ok(Some(id.into())),
                None => Err(self.wrong(&format!("{} parameter must be a string", self.name))),
            },
            _ => Err(self.wrong(&format!("{} accepts at most one parameter", self.name))),
        }
    }

    fn filter(&self) -> Result<Filter, Error> {
        filter(self.params, self.place(), false)
    }

    fn has(&self, either: bool) -> Result<Filter, Error> {
        if self.params.is_empty() {
            return Err(Error::syntax(self.at, "At least one parameter must be provided"));
        }
        filter(self.params, self.place(), either)
    }

    fn flow_filter(&self, either: bool) -> Result<Filter, Error> {
        if self.params.len() < 2 {
            return Err(Error::syntax(self.at, "At least two parameters must be provided"));
        }
        let mut terms = pairs(self.params, self.place())?;
        for term in &mut terms {
            let bare = &*term.key.text;
            if matches!(bare, "Link" | "Network" | "Transport") {
                term.other = Some(Key::new(format!("{bare}.B")));
                term.key = Key::new(format!("{bare}.A"));
            }
        }
        Ok(Filter { terms: terms.into(), either })
    }

    /// The only parameter, if it is a text.
    fn only_text(&self) -> Option<&str> {
        match self.params {
            [param] => param.value.text(),
            _ => None,
        }
    }

    fn key_alone(&self) -> Result<&str, Error> {
        self.only_text().ok_or_else(|| {
            self.wrong(&format!("{} accepts only one parameter of type string", self.name))
        })
    }

    /// All parameters as texts.
    fn texts(&self) -> Option<Vec<&str>> {
        self.params.iter().map(|param| param.value.text()).collect()
    }

    fn dedup_keys(&self) -> Result<Rc<[Key]>, Error> {
        let texts = self.texts();
        let texts = texts.ok_or_else(|| self.wrong("Dedup parameters have to be string keys"))?;
        Ok(texts.into_iter().map(Key::new).collect())
    }

    fn limit(&self) -> Result<What, Error> {
        let ends = match (self.name, self.params) {
            ("Limit", [to]) => (None, to),
            ("Limit", _) => return Err(self.wrong("Limit requires 1 parameter")),
            (_, [from, to]) => (Some(from), to),
            _ => return Err(self.wrong("Range requires 2 parameters")),
        };
        let whole = |param: &Param| {
            let number = param.value.int().ok_or_else(|| {
                Error::syntax(param.at, format!("{} is not an integer", param.value))
            })?;
            // Before the beginning is at the beginning, as in the walk that Skydive makes.
            Ok(usize::try_from(number.max(0)).unwrap_or(usize::MAX))
        };
        let from = ends.0.map(whole).transpose()?.unwrap_or(0);
        Ok(What::Limit { from, to: whole(ends.1)? })
    }

    fn sort(&self) -> Result<What, Error> {
        let key = |param: &Param| {
            param.value.text().map(|key| Some(Key::new(key))).ok_or_else(|| {
                let message = format!("Sort parameter has to be a string key : {}", param.value);
                Error::syntax(param.at, message)
            })
        };
        let order = |param: &Param| match param.value {
            Value::Asc => Ok(false),
            Value::Desc => Ok(true),
            _ => {
                let message = format!("Use ASC or DESC predicate : {}", param.value);
                Err(Error::syntax(param.at, message))
            }
        };
        let (descending, key) = match self.params {
            [] => (false, None),
            [one] if matches!(one.value, Value::Asc | Value::Desc) => (order(one)?, None),
            [one] => (false, key(one)?),
            [first, second] => (order(first)?, key(second)?),
            _ => return Err(self.wrong("Sort accepts 1 predicate and 1 string parameter")),
        };
        Ok(What::Sort { descending, key })
    }

    fn values_key(&self) -> Result<Key, Error> {
        if self.params.len() != 1 {
            return Err(self.wrong("Values requires 1 parameter"));
        }
        let key = self.only_text();
        let key = key.ok_or_else(|| self.wrong("Values parameter has to be a string key"))?;
        Ok(Key::new(key))
    }

    fn value_map_keys(&self) -> Result<Rc<[Key]>, Error> {
        if self.params.is_empty() {
            return Err(self.wrong("ValueMap requires at least on parameter"));
        }
        let texts = self.texts();
        let texts =
            texts.ok_or_else(|| self.wrong("ValueMap parameters have to be string keys"))?;
        Ok(texts.into_iter().map(Key::new).collect())
    }

    fn sum_key(&self, input: Shape) -> Result<Option<Key>, Error> {
        if self.params.is_empty() && input == Shape::Metrics {
            return Ok(None);
        }
        if self.params.len() != 1 {
            return Err(self.wrong("Sum requires 1 parameter"));
        }
        let key = self.only_text();
        let key = key.ok_or_else(|| self.wrong("Sum parameter has to be a string key"))?;
        let head = key.split_once('.').map_or(key, |(head, _)| head);
        if input == Shape::Flows && !matches!(head, "Metric" | "LastUpdateMetric") {
            // The misspelling is Skydive's.
            let message = "Sum accepts only sub fields of Metric and LastUpadteMetric";
            return Err(Error::syntax(self.place(), message));
        }
        Ok(Some(Key::new(key)))
    }

    fn path(&self) -> Result<What, Error> {
        if !matches!(self.params.len(), 1 | 2) {
            return Err(self.wrong("ShortestPathTo predicate accepts only 1 or 2 parameters"));
        }
        let mut filters = self.params.iter().map(|param| match &param.value {
            Value::Metadata(terms) => Ok(Filter { terms: Rc::clone(terms), either: false }),
            _ => Err(Error::execution(param.at, "Error while executing the query")),
        });
        let to = filters.next().unwrap_or_else(|| Ok(Filter::all()))?;
        let over = filters.next().unwrap_or_else(|| Ok(Filter::all()))?;
        Ok(What::Path { to, over })
    }

    fn as_key(&self) -> Result<Rc<str>, Error> {
        if self.params.len() != 1 {
            return Err(self.wrong("As requires 1 parameter"));
        }
        let key = self.only_text();
        key.map(Rc::from).ok_or_else(|| self.wrong("As parameter has to be a string key"))
    }

    fn select_keys(&self) -> Result<Rc<[Rc<str>]>, Error> {
        if self.params.is_empty() {
            return Err(self.wrong("Select requires at least one key"));
        }
        let texts = self.texts();
        let texts = texts.ok_or_else(|| self.wrong("Select accepts only string parameters"))?;
        Ok(texts.into_iter().map(Rc::from).collect())
    }

    fn kin(&self, way: Way) -> Result<What, Error> {
        let (pairs_of, rest) = self.params.as_chunks::<2>();
        let (params, last) = self.params.split_at(pairs_of.len().saturating_mul(2));
        let mut edges = Filter::one("RelationType", Test::Is(Literal::Text("ownership".into())));
        if !params.is_empty() {
            edges = Filter { terms: pairs(params, self.place())?.into(), either: true };
        }
        debug_assert_eq!(rest.len(), last.len());
        let depth = match last.first() {
            None => 1,
            Some(param) => param.value.int().ok_or_else(|| {
                let message = format!(
                    "{} last argument must be the maximum depth specified as an integer",
                    self.name
                );
                Error::syntax(param.at, message)
            })?,
        };
        // No way through the graph is longer than it has nodes.
        let depth = match usize::try_from(depth.max(0)).unwrap_or(MAX_NODES) {
            0 if way != Way::Both => MAX_NODES,
            depth => depth.min(MAX_NODES),
        };
        Ok(What::Kin { way, edges, depth })
    }

    fn address(&self) -> Result<IpAddr, Error> {
        let [param] = self.params else {
            return Err(self.wrong("NextHop accepts one parameter"));
        };
        let text = param.value.text();
        let text =
            text.ok_or_else(|| Error::syntax(param.at, "NextHop parameter have to be a string"))?;
        text.parse()
            .map_err(|_| Error::syntax(param.at, "NextHop parameter have to be a valid IP address"))
    }

    fn metrics_key(&self) -> Result<Key, Error> {
        const KNOWN: [&str; 5] =
            ["LastUpdateMetric", "SFlow", "SFlow.LastUpdateMetric", "Ovs", "Ovs.LastUpdateMetric"];
        let key = match self.params {
            [] => "LastUpdateMetric",
            _ => self
                .only_text()
                .filter(|key| KNOWN.contains(key))
                .ok_or_else(|| self.wrong("Metric field unknown"))?,
        };
        Ok(match key {
            "SFlow" | "Ovs" => Key::new(format!("{key}.LastUpdateMetric")),
            key => Key::new(key),
        })
    }

    fn group(&self) -> Result<bool, Error> {
        match self.params {
            [] => Ok(false),
            _ => match self.only_text() {
                Some("L3TrackingID") => Ok(true),
                Some("TrackingID") => Ok(false),
                _ => Err(self.wrong("Group parameter has to be TrackingID or L3TrackingID")),
            },
        }
    }

    fn more_than(&self) -> Result<usize, Error> {
        let number = match self.params {
            [] => Some(1),
            [param] => param.value.int(),
            _ => None,
        };
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| self.wrong("MoreThan parameter has to be a positive number"))
    }

    fn expression(&self) -> Result<filter::Expression, Error> {
        let text = self.only_text();
        let text = text.ok_or_else(|| self.wrong("BPF requires 1 string parameter"))?;
        filter::Expression::parse(text, &names::BuiltIn).map_err(|error| {
            Error::syntax(self.place(), format!("Not a valid BPF expression: {error}"))
        })
    }

    fn aggregates(&self) -> Result<i64, Error> {
        let seconds = match self.params {
            [] => Some(30),
            [param] => param.value.int(),
            _ => None,
        };
        let millis = seconds.filter(|s| *s > 0).and_then(|s| s.checked_mul(1_000));
        millis.ok_or_else(|| self.wrong("Aggregates parameter has to be a positive number"))
    }

    fn stretch(&self) -> Result<Stretch, Error> {
        let kind = |param: &Param| {
            Error::syntax(param.at, "Key 'Context' must be either an integer or a string")
        };
        let (at, length) = match self.params {
            [] => {
                let message = "At least one parameter must be provided to 'Context'";
                return Err(Error::syntax(self.at, message));
            }
            [at] => (at, None),
            [at, length] => (at, Some(length)),
            _ => {
                let message = "At most two parameters must be provided to 'Context'";
                return Err(Error::syntax(self.place(), message));
            }
        };
        let end = match &at.value {
            Value::Now => Moment::Off(0),
            Value::Literal(Literal::Int(time)) => Moment::of_unix(*time),
            Value::Literal(Literal::Text(text)) => Moment::parse(text).ok_or_else(|| {
                Error::syntax(at.at, "Time must be in RFC1123 or in Go Duration format")
            })?,
            _ => return Err(kind(at)),
        };
        let length = length.map(|param| match &param.value {
            Value::Forever => Ok(i64::MAX),
            Value::Literal(Literal::Int(seconds)) => Ok(seconds.saturating_mul(1_000)),
            Value::Literal(Literal::Text(text)) => duration(text).ok_or_else(|| {
                Error::syntax(param.at, format!("time: invalid duration \"{text}\""))
            }),
            _ => Err(kind(param)),
        });
        Ok(Stretch { end, length: length.transpose()?.map(i64::saturating_abs) })
    }
}
