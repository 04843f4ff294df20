//! Counters of nodes and flows: as they are, summed up, and cut into equal stretches of time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::vec::IntoIter;

use crate::capture::flow::Metric;
use crate::capture::{Flow, FlowRef};
use crate::topology::graph::{Id, Node};
use crate::topology::value::{Key as Name, Map, Value};

use super::answer::{MetricsOf, Owner};
use super::collect::Total;
use super::subject::{Key, Subject as _};
use super::task::{Data, Each, Fold, Scope, Task};
use super::{Answer, Error};

/// The most slices that a stretch of time may be cut into.
const MAX_SLICES: i64 = 10_000;

/// The metrics of nodes: those of now, or over a stretch of the past all that they had.
pub(super) fn of_nodes(
    input: Vec<Rc<Node>>,
    key: Key,
    scope: &mut Scope<'_>,
) -> Result<Box<dyn Task>, Error> {
    let metric = move |node: &Node| match node.value(&key) {
        Some(Value::Map(map)) => Some(map),
        _ => None,
    };
    let mut past: HashMap<Id, Vec<Rc<Map>>> = HashMap::new();
    if let Some(slice) = scope.slice.filter(|slice| slice.from < slice.to) {
        let mut looked = 0_usize;
        for node in scope.live.past_nodes(slice) {
            looked = looked.saturating_add(1);
            if let Some(metric) =
                metric(node).filter(|metric| overlaps(metric, slice.from, slice.to))
            {
                past.entry(Rc::clone(&node.id)).or_default().push(metric);
            }
        }
        scope.spend(looked)?;
    }
    let mut seen = HashSet::new();
    Ok(Box::new(Each::new(input, usize::MAX, Answer::Metrics, move |node: Rc<Node>, _, out| {
        if !seen.insert(Rc::clone(&node.id)) {
            return Ok(());
        }
        let mut metrics = past.remove(&node.id).unwrap_or_default();
        metrics.extend(metric(&node));
        // Versions that differ in something else have the same one.
        metrics.dedup();
        if !metrics.is_empty() {
            out.push((Owner::Node(Rc::clone(&node.id)), MetricsOf::Node(metrics)));
        }
        Ok(())
    })))
}

fn overlaps(metric: &Map, from: i64, to: i64) -> bool {
    metric.int("Start").is_none_or(|start| start <= to)
        && metric.int("Last").is_none_or(|last| last >= from)
}

/// The last metric of each flow.
pub(super) fn of_flows(input: Vec<FlowRef>) -> Box<dyn Task> {
    Box::new(Each::new(input, usize::MAX, Answer::Metrics, |item: FlowRef, scope, out| {
        if let Some(flow) = scope.flows.get(item) {
            out.push((Owner::Flow(flow.uuid), MetricsOf::Flow(last(flow))));
        }
        Ok(())
    }))
}

/// What was counted between the last two updates; before the first, since the beginning.
fn last(flow: &Flow) -> Metric {
    flow.last_update.unwrap_or(flow.metric)
}

/// Members of one metric.
type Members<'a> = dyn Iterator<Item = (Name, Value)> + 'a;

impl MetricsOf {
    /// Each of them, as members and values.
    fn each(&self, visit: &mut dyn FnMut(&mut Members<'_>)) {
        match self {
            Self::Flow(metric) => {
                visit(&mut metric.members().map(|(name, value)| (name.into(), value.into())));
            }
            Self::Node(metrics) => {
                for metric in metrics {
                    let members = metric.iter();
                    visit(
                        &mut members.map(|(name, value)| (name.to_owned().into(), value.clone())),
                    );
                }
            }
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Flow(_) => 1,
            Self::Node(metrics) => metrics.len(),
        }
    }
}

/// One metric of all: members added up, from the first start to the last end. Round-trip times
/// have no sum.
pub(super) fn sum(input: Vec<(Owner, MetricsOf)>) -> Box<dyn Task> {
    Box::new(Fold::new(
        input,
        None::<Map>,
        |sum, _| Ok(Answer::Metric(sum.map(Rc::new)).into()),
        |sum: &mut Option<Map>, (_, metrics): (Owner, MetricsOf), scope| {
            metrics.each(&mut |members| {
                let sum = sum.get_or_insert_default();
                for (name, value) in members {
                    add(sum, name, &value);
                }
            });
            scope.spend(metrics.len())
        },
    ))
}

fn add(sum: &mut Map, name: Name, value: &Value) {
    let known = sum.get(&name);
    let next = match (name.as_ref(), known.and_then(Value::as_int), value.as_int()) {
        ("RTT", ..) => return,
        ("Start", Some(known), Some(value)) => Value::Int(known.min(value)),
        ("Last", Some(known), Some(value)) => Value::Int(known.max(value)),
        _ => {
            let mut total = Total::Int(0);
            let mut both = known.into_iter().chain([value]);
            if !both.all(|value| total.add(value)) {
                return;
            }
            total.value()
        }
    };
    sum.set(name, next);
}

/// The sum of one member; those of nodes leave out what is 0.
pub(super) fn sum_of(input: Vec<(Owner, MetricsOf)>, key: Key) -> Box<dyn Task> {
    Box::new(Fold::new(input, Total::Int(0), Total::finish, move |sum, item, scope| {
        let (_, metrics): (Owner, MetricsOf) = item;
        let fine = match &metrics {
            MetricsOf::Flow(metric) => {
                metric.get(&key.text).is_some_and(|value| sum.add(&Value::Int(value)))
            }
            MetricsOf::Node(metrics) => {
                let mut values = metrics.iter().filter_map(|metric| metric.value(&key));
                values.all(|value| sum.add(&value))
            }
        };
        scope.spend(metrics.len())?;
        if fine { Ok(()) } else { Err(scope.fail("Field not found")) }
    }))
}

/// The names of all members.
pub(super) fn keys(input: Vec<(Owner, MetricsOf)>) -> Box<dyn Task> {
    Box::new(Fold::new(
        input,
        BTreeSet::<Name>::new(),
        |names, _| {
            let names = names.into_iter().map(|name| Value::from(name.as_ref()));
            Ok(Answer::Values(names.collect()).into())
        },
        |names: &mut BTreeSet<Name>, (_, metrics): (Owner, MetricsOf), scope| {
            metrics.each(&mut |members| names.extend(members.map(|(name, _)| name)));
            scope.check(names.len())?;
            scope.spend(metrics.len())
        },
    ))
}

/// Adds up all metrics within equal slices of time, each split by the time that it shares with
/// them.
pub(super) struct Aggregates {
    millis: i64,
    /// The stretch, once it is known.
    span: Option<(i64, i64)>,
    input: Option<Vec<(Owner, MetricsOf)>>,
    waiting: IntoIter<(Owner, MetricsOf)>,
    /// Names of the members, and their places in a slot.
    names: HashMap<Name, usize>,
    /// Metrics of flows show what is 0 too.
    zeros: bool,
    slots: Vec<Option<Vec<i64>>>,
}

impl Aggregates {
    pub(super) fn new(input: Vec<(Owner, MetricsOf)>, millis: i64) -> Self {
        Self {
            millis,
            span: None,
            input: Some(input),
            waiting: Vec::new().into_iter(),
            names: HashMap::new(),
            zeros: false,
            slots: Vec::new(),
        }
    }

    /// Finds the stretch: what the query is about, or what the metrics cover.
    fn measure(&mut self, scope: &mut Scope<'_>) -> Result<(), Error> {
        let input = self.input.take().unwrap_or_default();
        let mut span: Option<(i64, i64)> = None;
        let mut looked = 0_usize;
        for (owner, metrics) in &input {
            self.zeros |= matches!(owner, Owner::Flow(_));
            looked = looked.saturating_add(metrics.len());
            metrics.each(&mut |members| {
                let (start, last, _) = times(members);
                let (from, to) = span.unwrap_or((start, last));
                span = Some((from.min(start), to.max(last)));
            });
        }
        // Of a stretch without a beginning only what the metrics cover can hold anything.
        let asked = scope.slice.filter(|slice| slice.from < slice.to);
        let span = match (asked, span) {
            (Some(slice), Some((from, _))) if slice.from <= 0 => (from.min(slice.to), slice.to),
            (Some(slice), _) => (slice.from, slice.to),
            (None, span) => span.unwrap_or((0, 0)),
        };
        let length = span.1.saturating_sub(span.0).max(0);
        let whole = length.div_euclid(self.millis);
        let slices = whole.saturating_add(i64::from(length.rem_euclid(self.millis) != 0)).max(1);
        if slices > MAX_SLICES {
            return Err(scope.fail(format!("Aggregates would give more than {MAX_SLICES} slices")));
        }
        self.span = Some(span);
        self.slots = vec![None; usize::try_from(slices).unwrap_or(0)];
        self.waiting = input.into_iter();
        scope.spend(looked)
    }

    /// Adds one metric to the slices that it shares time with.
    fn spread(
        &mut self,
        span: (i64, i64),
        start: i64,
        last: i64,
        members: &[(usize, i64)],
    ) -> usize {
        let last = last.max(start);
        if start > span.1 || last < span.0 {
            return 1;
        }
        let slice = |at: i64| {
            let slice = at.saturating_sub(span.0).max(0).div_euclid(self.millis);
            usize::try_from(slice).unwrap_or(0).min(self.slots.len().saturating_sub(1))
        };
        let (first, end) = (slice(start.max(span.0)), slice(last.min(span.1)));
        let whole = i128::from(last).saturating_sub(i128::from(start));
        // How much of a value is counted up to a moment: the parts add up to the whole.
        let until = |value: i64, at: i64| {
            let at = i128::from(at.clamp(start, last)).saturating_sub(i128::from(start));
            let part = i128::from(value).saturating_mul(at).checked_div(whole);
            part.and_then(|part| i64::try_from(part).ok())
        };
        for place in first..=end {
            let offset = i64::try_from(place).unwrap_or(0).saturating_mul(self.millis);
            let from = span.0.saturating_add(offset);
            let to = from.saturating_add(self.millis).min(span.1);
            let Some(slot) = self.slots.get_mut(place) else { break };
            // At the very end of a metric, nothing of it lies in the slice that begins there.
            if whole > 0 && last <= from {
                continue;
            }
            let sums = slot.get_or_insert_default();
            for (name, value) in members {
                if sums.len() <= *name {
                    sums.resize(name.saturating_add(1), 0);
                }
                let part = match (until(*value, to), until(*value, from)) {
                    (Some(to), Some(from)) => to.saturating_sub(from),
                    // It took no time: it is all here.
                    _ => *value,
                };
                if let Some(sum) = sums.get_mut(*name) {
                    *sum = sum.saturating_add(part);
                }
            }
        }
        end.saturating_sub(first).saturating_add(1)
    }

    /// Takes one owner's metrics.
    fn take(
        &mut self,
        metrics: &MetricsOf,
        span: (i64, i64),
        scope: &mut Scope<'_>,
    ) -> Result<(), Error> {
        let mut found = Vec::new();
        metrics.each(&mut |members| {
            let (start, last, values) = times(members);
            let values = values.into_iter().map(|(name, value)| {
                let next = self.names.len();
                (*self.names.entry(name).or_insert(next), value)
            });
            found.push((start, last, values.collect::<Vec<_>>()));
        });
        for (start, last, values) in found {
            let slices = self.spread(span, start, last, &values);
            scope.spend(slices.saturating_mul(values.len()) / 8)?;
        }
        Ok(())
    }

    fn finish(&mut self, span: (i64, i64)) -> Answer {
        let slots = (0_i64..).zip(std::mem::take(&mut self.slots));
        let metrics = slots.filter_map(|(place, sums)| {
            let sums = sums.filter(|sums| sums.iter().any(|sum| *sum != 0))?;
            let start = span.0.saturating_add(place.saturating_mul(self.millis));
            let mut map = Map::new();
            for (name, at) in &self.names {
                let sum = sums.get(*at).copied().unwrap_or(0);
                if sum != 0 || self.zeros {
                    map.set(name.clone(), sum);
                }
            }
            let last = start.saturating_add(self.millis).min(span.1);
            Some(Rc::new(map.with("Start", start).with("Last", last)))
        });
        Answer::Metrics(Vec::from([(Owner::All, MetricsOf::Node(metrics.collect()))]))
    }
}

/// Start, end and the other members that are whole numbers and can be split.
fn times(members: &mut Members<'_>) -> (i64, i64, Vec<(Name, i64)>) {
    let (mut start, mut last, mut values) = (0, 0, Vec::new());
    for (name, value) in members {
        let Some(value) = value.as_int() else { continue };
        match name.as_ref() {
            "Start" => start = value,
            "Last" => last = value,
            "RTT" => {}
            _ => values.push((name, value)),
        }
    }
    (start, last, values)
}

impl Task for Aggregates {
    fn run(&mut self, scope: &mut Scope<'_>) -> Result<Option<Data>, Error> {
        if self.input.is_some() {
            self.measure(scope)?;
        }
        let Some(span) = self.span else { return Ok(None) };
        while scope.may() {
            let Some((_, metrics)) = self.waiting.next() else {
                return Ok(Some(self.finish(span).into()));
            };
            scope.spend(metrics.len())?;
            self.take(&metrics, span, scope)?;
        }
        Ok(None)
    }
}
