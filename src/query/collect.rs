//! Steps over any kind of element: dedup, sort, values, keys, sums.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::vec::IntoIter;

use crate::capture::FlowRef;
use crate::capture::flow;
use crate::topology::graph::Node;
use crate::topology::value::{Map, Value};

use super::predicate::Filter;
use super::subject::{FIELDS, Key, Subject};
use super::task::{Data, Each, Fold, Scope, Task};
use super::{Answer, Error};

/// What has been met already, by digests: two keyed ones, so that nobody can make them collide.
#[derive(Default)]
pub(super) struct Seen {
    keys: [RandomState; 2],
    digests: HashSet<[u64; 2]>,
}

impl Seen {
    /// Notes something; `true` if it is new.
    pub(super) fn insert(&mut self, bytes: &[u8]) -> bool {
        let digest = self.keys.each_ref().map(|key| key.hash_one(bytes));
        self.digests.insert(digest)
    }
}

/// Keeps the elements that pass.
pub(super) fn filter<T: Subject + 'static>(
    input: Vec<Rc<T>>,
    filter: Filter,
    most: usize,
    wrap: fn(Vec<Rc<T>>) -> Answer,
) -> Box<dyn Task> {
    Box::new(Each::new(input, most, wrap, move |item: Rc<T>, scope, out| {
        let mut cost = 0;
        if filter.matches(&*item, &mut cost) {
            out.push(item);
        }
        scope.spend(cost)
    }))
}

/// Keeps the objects that pass; what is no object never does.
pub(super) fn filter_values(input: Vec<Value>, filter: Filter, most: usize) -> Box<dyn Task> {
    Box::new(Each::new(input, most, Answer::Values, move |item: Value, scope, out| {
        let mut cost = 0;
        if item.as_map().is_some_and(|map| filter.matches(map, &mut cost)) {
            out.push(item);
        }
        scope.spend(cost)
    }))
}

pub(super) fn filter_flows(input: Vec<FlowRef>, filter: Filter, most: usize) -> Box<dyn Task> {
    Box::new(Each::new(input, most, Answer::Flows, move |item: FlowRef, scope, out| {
        let mut cost = 0;
        let flow = scope.flows.get(item);
        if flow.is_some_and(|flow| filter.matches(flow, &mut cost)) {
            out.push(item);
        }
        scope.spend(cost)
    }))
}

/// Keeps the first of those that are the same. `write` appends what makes them so, and says
/// `false` if there is nothing: those are all kept.
pub(super) fn dedup<T: 'static>(
    input: Vec<T>,
    most: usize,
    wrap: fn(Vec<T>) -> Answer,
    write: impl Fn(&T, &Scope<'_>, &mut Vec<u8>) -> bool + 'static,
) -> Box<dyn Task> {
    let mut seen = Seen::default();
    let mut bytes = Vec::new();
    Box::new(Each::new(input, most, wrap, move |item: T, scope, out| {
        bytes.clear();
        if !write(&item, scope, &mut bytes) || seen.insert(&bytes) {
            out.push(item);
        }
        scope.spend(bytes.len() / 256)
    }))
}

/// Appends the values of those keys that are there; `false` if none is.
pub(super) fn write_values(subject: &impl Subject, keys: &[Key], out: &mut Vec<u8>) -> bool {
    for value in keys.iter().filter_map(|key| subject.value(key)) {
        value.write(out);
        out.push(b',');
    }
    !out.is_empty()
}

/// Where an element comes in order.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Rank {
    Number(Number),
    Text(Rc<str>),
}

#[derive(Debug, PartialEq)]
struct Number(f64);

impl Eq for Number {}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Place {
    Ascending(Rank),
    Descending(Reverse<Rank>),
}

/// Sorts elements: their keys are taken, then they are put in order one by one, so that no turn
/// has to sort all of them.
pub(super) struct Sort<T, F> {
    input: IntoIter<T>,
    key: F,
    items: Vec<Option<T>>,
    order: Order,
    output: Vec<T>,
    wrap: fn(Vec<T>) -> Answer,
}

/// The order of elements by their keys; they themselves are known by their numbers.
struct Order {
    descending: bool,
    /// Whether keys are numbers, as the first one that is there says.
    numeric: Option<bool>,
    keys: Vec<Option<Value>>,
    /// Those that have their place.
    placed: usize,
    places: BTreeSet<(Place, usize)>,
}

impl<T, F: Fn(&T, &Scope<'_>) -> Option<Value>> Sort<T, F> {
    pub(super) fn new(input: Vec<T>, descending: bool, wrap: fn(Vec<T>) -> Answer, key: F) -> Self {
        let (numeric, keys, placed, places) = (None, Vec::new(), 0, BTreeSet::new());
        let order = Order { descending, numeric, keys, placed, places };
        let (items, output) = (Vec::new(), Vec::new());
        Self { input: input.into_iter(), key, items, order, output, wrap }
    }
}

impl<T, F: Fn(&T, &Scope<'_>) -> Option<Value>> Task for Sort<T, F> {
    fn run(&mut self, scope: &mut Scope<'_>) -> Result<Option<Data>, Error> {
        while scope.may() {
            let Some(item) = self.input.next() else { break };
            scope.spend(1)?;
            self.order.add((self.key)(&item, scope));
            self.items.push(Some(item));
        }
        if self.input.len() > 0 || !self.order.arrange(scope)? {
            return Ok(None);
        }
        while scope.may() {
            let Some((_, at)) = self.order.places.pop_first() else {
                return Ok(Some((self.wrap)(std::mem::take(&mut self.output)).into()));
            };
            scope.spend(1)?;
            self.output.extend(self.items.get_mut(at).and_then(Option::take));
        }
        Ok(None)
    }
}

impl Order {
    fn add(&mut self, key: Option<Value>) {
        if let Some(key) = key.as_ref().filter(|_| self.numeric.is_none()) {
            let numeric = matches!(key, Value::Int(_) | Value::Float(_) | Value::Bool(_));
            self.numeric = Some(numeric);
        }
        self.keys.push(key);
    }

    /// Goes on with putting them in order; whether all are.
    fn arrange(&mut self, scope: &mut Scope<'_>) -> Result<bool, Error> {
        while scope.may() {
            let Some(key) = self.keys.get_mut(self.placed) else { return Ok(true) };
            let key = key.take();
            scope.spend(1)?;
            let place = self.place(key);
            self.places.insert((place, self.placed));
            self.placed = self.placed.saturating_add(1);
        }
        Ok(false)
    }

    /// What is missing counts as 0 or as an empty text.
    fn place(&self, value: Option<Value>) -> Place {
        let rank = if self.numeric == Some(true) {
            Rank::Number(Number(match value {
                Some(Value::Int(number)) => number as f64,
                Some(Value::Float(number)) => number,
                Some(Value::Bool(value)) => f64::from(u8::from(value)),
                _ => 0.0,
            }))
        } else {
            Rank::Text(match value {
                Some(Value::Text(text)) => text.into_rc(),
                Some(Value::Null) | None => "".into(),
                Some(other) => {
                    let mut text = Vec::new();
                    other.write(&mut text);
                    String::from_utf8_lossy(&text).into()
                }
            })
        };
        if self.descending { Place::Descending(Reverse(rank)) } else { Place::Ascending(rank) }
    }
}

/// The values of one key; empty containers are passed over.
pub(super) fn values<T: Subject + 'static>(input: Vec<Rc<T>>, key: Key) -> Box<dyn Task> {
    Box::new(Each::new(input, usize::MAX, Answer::Values, move |item: Rc<T>, _, out| {
        out.extend(item.value(&key).filter(|value| !is_empty(value)));
        Ok(())
    }))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

/// The values of one key of flows, each of which must have it.
pub(super) fn flow_values(input: Vec<FlowRef>, key: Key) -> Box<dyn Task> {
    Box::new(Each::new(input, usize::MAX, Answer::Values, move |item: FlowRef, scope, out| {
        if let Some(flow) = scope.flows.get(item) {
            out.push(flow.value(&key).ok_or_else(|| scope.fail("Field not found"))?);
        }
        Ok(())
    }))
}

/// The values of one key of sockets.
pub(super) fn item_values(input: Vec<Vec<Value>>, key: Key) -> Box<dyn Task> {
    Box::new(Each::new(input, usize::MAX, Answer::Values, move |items: Vec<Value>, scope, out| {
        out.extend(items.iter().filter_map(|item| item.as_map()?.value(&key)));
        scope.spend(items.len() / 8)
    }))
}

/// Objects of several keys.
pub(super) fn value_map<T: Subject + 'static>(input: Vec<Rc<T>>, keys: Rc<[Key]>) -> Box<dyn Task> {
    Box::new(Each::new(input, usize::MAX, Answer::Values, move |item: Rc<T>, _, out| {
        let found = keys.iter().filter_map(|key| Some((key, item.value(key)?)));
        let map = found.fold(Map::new(), |map, (key, value)| map.with(key.text.to_string(), value));
        out.extend(Some(map).filter(|map| !map.is_empty()).map(Value::from));
        Ok(())
    }))
}

/// The names of all members, dotted where they are within others.
pub(super) fn keys<T: 'static>(
    input: Vec<Rc<T>>,
    more: &'static [&'static str],
    metadata: fn(&T) -> &Map,
) -> Box<dyn Task> {
    let names = BTreeSet::<String>::new();
    Box::new(Fold::new(
        input,
        (names, more),
        |(names, more), _| {
            let fields = FIELDS.iter().chain(more).map(|name| Value::from(*name));
            let fields = if names.is_empty() { Vec::new() } else { fields.collect() };
            let all = fields.into_iter().chain(names.into_iter().map(Value::from));
            Ok(Answer::Values(all.collect()).into())
        },
        move |(names, _), item: Rc<T>, scope| {
            let mut looked = 0;
            let mut path = String::new();
            collect_keys(metadata(&item), &mut path, names, &mut looked);
            scope.check(names.len())?;
            scope.spend(looked / 4)
        },
    ))
}

fn collect_keys(map: &Map, path: &mut String, names: &mut BTreeSet<String>, looked: &mut usize) {
    let length = path.len();
    for (name, value) in map.iter() {
        *looked = looked.saturating_add(1);
        path.push_str(name);
        if !names.contains(path) {
            names.insert(path.clone());
        }
        path.push('.');
        match value {
            Value::Map(map) => collect_keys(map, path, names, looked),
            Value::List(items) => {
                for map in items.iter().filter_map(Value::as_map) {
                    collect_keys(map, path, names, looked);
                }
            }
            _ => {}
        }
        path.truncate(length);
    }
}

/// The names of all members that flows can have.
pub(super) fn flow_keys(input: &[FlowRef]) -> Answer {
    let keys = if input.is_empty() { &[] } else { flow::KEYS };
    Answer::Values(keys.iter().map(|key| Value::from(*key)).collect())
}

/// A sum under way: whole as long as all that is added is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Total {
    Float(f64),
    Int(i64),
}

impl Total {
    /// Adds a value; `false` if it is no number.
    pub(super) fn add(&mut self, value: &Value) -> bool {
        *self = match (*self, value) {
            (Self::Int(sum), Value::Int(value)) => Self::Int(sum.saturating_add(*value)),
            (Self::Int(sum), Value::Float(value)) => Self::Float(sum as f64 + value),
            (Self::Float(sum), Value::Int(value)) => Self::Float(sum + *value as f64),
            (Self::Float(sum), Value::Float(value)) => Self::Float(sum + value),
            _ => return false,
        };
        true
    }

    pub(super) const fn value(self) -> Value {
        match self {
            Self::Float(sum) => Value::Float(sum),
            Self::Int(sum) => Value::Int(sum),
        }
    }

    pub(super) fn finish(self, _: &mut Scope<'_>) -> Result<Data, Error> {
        Ok(Answer::Number(self.value()).into())
    }
}

/// The sum of one key over nodes; those without it do not count.
pub(super) fn sum(input: Vec<Rc<Node>>, key: Key) -> Box<dyn Task> {
    Box::new(Fold::new(input, Total::Int(0), Total::finish, move |sum, node: Rc<Node>, scope| {
        match node.value(&key) {
            Some(value) if !sum.add(&value) => {
                Err(scope.fail(format!("The value of {} is not a number", key.text)))
            }
            _ => Ok(()),
        }
    }))
}

/// The sum of one key over flows, each of which must have it.
pub(super) fn flow_sum(input: Vec<FlowRef>, key: Key) -> Box<dyn Task> {
    Box::new(Fold::new(input, Total::Int(0), Total::finish, move |sum, item, scope| {
        let Some(flow) = scope.flows.get(item) else { return Ok(()) };
        match flow.value(&key) {
            Some(value) if sum.add(&value) => Ok(()),
            // Before the first update there was none: nothing to add.
            None if flow.last_update.is_none() && known(&key.text) => Ok(()),
            _ => Err(scope.fail("Field not found")),
        }
    }))
}

fn known(key: &str) -> bool {
    flow::KEYS.contains(&key)
}
