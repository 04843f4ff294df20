//! All network namespaces in one graph: the host and the namespaces as nodes, their interfaces
//! below them, and the edges between interfaces, across namespaces too.
//!
//! Netlink messages and what drivers say go in; [`Spaces::flush`] writes what changed into the
//! graph, a bounded piece at a time. What has to be asked of the kernel for that, it lists:
//! see [`Spaces::next_inquiry`], [`Spaces::next_question`] and [`Spaces::take_wishes`].

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;

use crate::time::{Clock, Tick};
use crate::wire::netlink::Message;
use crate::wire::uuid::{OID, Uuid};

use super::graph::{Graph, Id, Link, Node, edge_id};
use super::interface::{Card, Interface, Parts};
pub use super::metadata::Label;
use super::metadata::{self, Shared};
use super::space::{Departed, Space, Work, mark};
use super::value::{Key, Map, Text, Value};

pub use super::space::{HOME, SpaceKey};

/// Namespaces at a time, the agent's own included; further ones are left out and counted.
pub const MAX_SPACES: usize = 1_024;

/// Hardware addresses that have a name or a vendor beside them; what exceeds it has none. They are
/// gathered in one go.
pub const MAX_LABELS: usize = 256;

/// How long an interface may be on its way from one namespace to another, in microseconds.
const JOURNEY: u64 = 500_000;

/// Interfaces that may be on their way; then the first is taken to have gone.
const MAX_DEPARTED: usize = 1_024;

/// What changes all the time is shown this often, in microseconds.
const LAZY: u64 = 1_000_000;

/// Least time between two passes over what changed, in microseconds: a burst of changes of one
/// interface makes one version of its node.
const PASS: u64 = 50_000;

/// Interfaces shown in one call of [`Spaces::flush`].
const BUDGET: usize = 128;

/// A namespace as it was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// What to call it: the name of its file.
    pub name: String,
    /// Its file, as configured.
    pub path: String,
    /// The device that the file is on.
    pub device: u64,
    /// The number of the file on it.
    pub inode: u64,
}

/// What the driver of an interface says of it.
#[derive(Clone, Debug, Default)]
pub struct CardFacts {
    /// The driver's name, empty without one.
    pub driver: String,
    /// Where the card is.
    pub bus: String,
    /// Mb/s.
    pub speed: Option<u32>,
    /// Whether both sides may send at once.
    pub full_duplex: Option<bool>,
    /// Names of features and whether they are in use.
    pub features: Vec<(Rc<str>, bool)>,
}

/// A question about how one namespace calls another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Question {
    /// The namespace to ask in.
    pub asker: SpaceKey,
    /// The namespace whose number is wanted.
    pub about: SpaceKey,
}

/// A number of a namespace whose bearer is looked for.
#[derive(Debug)]
struct Search {
    asker: SpaceKey,
    id: i32,
    candidates: VecDeque<SpaceKey>,
}

/// All namespaces.
#[derive(Debug)]
pub struct Spaces {
    host: Rc<str>,
    origin: Rc<str>,
    slots: Vec<Option<Space>>,
    generations: Vec<u16>,
    work: Work,
    shared: Shared,
    searches: VecDeque<Search>,
    /// Interfaces with edges that lead to what is not known yet.
    dangling: BTreeSet<(SpaceKey, u32)>,
    /// Something is known now that an edge may have waited for.
    news: bool,
    /// Interfaces to ask the kernel about.
    wishes: BTreeSet<(SpaceKey, u32)>,
    /// What is known of the machine, for the host's node.
    machine: Map,
    machine_changed: bool,
    lazy_due: Tick,
    /// When the next pass may begin, and how many of the one under way are left.
    pass_due: Tick,
    pass_left: usize,
    /// Microseconds between two updates of the counters.
    interval: u64,
    peers: super::fabric::Fabric,
    /// Namespaces left out because there were too many.
    pub refused: u64,
}

impl Spaces {
    /// The home namespace of a host of this name, empty as yet.
    #[must_use]
    pub fn new(host: &str) -> Self {
        let tid: Rc<str> = Uuid::named(OID, &[host]).to_string().into();
        let home = Space { key: HOME, tid: Rc::clone(&tid), ..Space::default() };
        Self {
            host: host.into(),
            origin: format!("agent.{host}").into(),
            slots: vec![Some(home)],
            generations: vec![0],
            work: Work::default(),
            shared: Shared::default(),
            searches: VecDeque::new(),
            dangling: BTreeSet::new(),
            news: false,
            wishes: BTreeSet::new(),
            machine: Map::new(),
            machine_changed: true,
            lazy_due: Tick(0),
            pass_due: Tick(0),
            pass_left: 0,
            interval: 30_000_000,
            peers: super::fabric::Fabric::default(),
            refused: 0,
        }
    }

    /// Shows these names and vendors beside the addresses of neighbours. At most [`MAX_LABELS`],
    /// further ones are left out.
    pub fn set_labels(&mut self, mut labels: Vec<Label>) {
        labels.sort_unstable();
        labels.dedup_by(|next, kept| next.mac == kept.mac);
        labels.truncate(MAX_LABELS);
        if labels == self.shared.labels {
            return;
        }
        self.shared.labels = labels;
        for space in self.slots.iter_mut().flatten() {
            for (ifindex, one) in &mut space.interfaces {
                if !one.neighbours.is_empty() || !one.forwarding.is_empty() {
                    let parts = Parts::NEIGHBOURS.with(Parts::FORWARDING);
                    mark((space.key, *ifindex), one, parts, space.settled, &mut self.work);
                }
            }
        }
    }

    /// The vendor that is shown of an address.
    #[must_use]
    pub fn vendor_shown(&self, mac: [u8; 6]) -> Option<&'static str> {
        metadata::label(&self.shared.labels, mac).and_then(|label| label.vendor)
    }

    /// How often the counters of interfaces are shown.
    pub const fn set_interval(&mut self, seconds: u32) {
        self.interval = (seconds as u64).saturating_mul(1_000_000);
    }

    /// Adds a member to the metadata of the host's node, or takes it out.
    pub fn set_machine(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        self.machine_changed |= self.machine.set(key, value);
    }

    /// The same for a list: items that stay are shared with the list before.
    pub fn set_machine_list(&mut self, key: &'static str, items: Vec<Value>) {
        let before = self.machine.get(key).cloned();
        if items.is_empty() {
            self.machine.set(key, items);
        } else {
            metadata::put_list(&mut self.machine, key, items);
        }
        self.machine_changed |= self.machine.get(key) != before.as_ref();
    }

    /// Counts an entry that somebody else had no room for.
    pub const fn leave_out(&mut self) {
        self.work.left_out = self.work.left_out.saturating_add(1);
    }

    /// Adds a namespace; `None` if there are too many.
    pub fn add(&mut self, found: &Found) -> Option<SpaceKey> {
        let free = self.slots.iter().position(Option::is_none);
        let at = free.unwrap_or(self.slots.len());
        if at >= MAX_SPACES {
            self.refused = self.refused.saturating_add(1);
            return None;
        }
        if free.is_none() {
            self.slots.push(None);
            self.generations.push(0);
        }
        let key =
            SpaceKey { index: u16::try_from(at).ok()?, generation: *self.generations.get(at)? };
        let tid = match self.slots.first() {
            Some(Some(home)) => Uuid::named(OID, &[&home.tid, &found.path, "netns"]).to_string(),
            _ => String::new(),
        };
        let space = Space {
            key,
            name: found.name.as_str().into(),
            path: found.path.as_str().into(),
            device: found.device,
            inode: found.inode,
            tid: tid.into(),
            ..Space::default()
        };
        *self.slots.get_mut(at)? = Some(space);
        self.look_again(key);
        self.news = true;
        Some(key)
    }

    /// Removes a namespace with all that is in it.
    pub fn remove(&mut self, key: SpaceKey) {
        let Some(slot) = self.slots.get_mut(usize::from(key.index)) else { return };
        let Some(space) = slot.take_if(|space| space.key == key && key != HOME) else { return };
        for one in space.interfaces.into_values() {
            self.work.gone.extend(one.node);
        }
        self.work.gone.extend(space.root);
        if let Some(generation) = self.generations.get_mut(usize::from(key.index)) {
            // As many as a readiness token tells apart.
            *generation = generation.wrapping_add(1) & 0xfff;
        }
        for space in self.slots.iter_mut().flatten() {
            let before = space.ids.len();
            space.ids.retain(|id, known| {
                if *known == key {
                    space.sought.remove(id);
                }
                *known != key
            });
            if space.ids.len() == before {
                continue;
            }
            for (ifindex, one) in &mut space.interfaces {
                if one.link.parent_namespace.is_some() {
                    mark((space.key, *ifindex), one, Parts::LINK, space.settled, &mut self.work);
                }
            }
        }
        self.searches.retain(|search| search.asker != key);
        self.dangling.retain(|(space, _)| *space != key);
    }

    /// Before dumps of everything in a namespace.
    pub fn begin_sync(&mut self, key: SpaceKey) {
        if let Some(space) = space_mut(&mut self.slots, key) {
            space.begin_sync();
        }
    }

    /// Takes one message of a namespace.
    pub fn apply(&mut self, key: SpaceKey, message: &Message<'_>, clock: &Clock) {
        if let Some(space) = space_mut(&mut self.slots, key) {
            space.apply(message, clock, self.interval, &mut self.work);
        }
    }

    /// After those dumps: removes what none of them mentioned.
    pub fn end_sync(&mut self, key: SpaceKey) {
        if let Some(space) = space_mut(&mut self.slots, key) {
            space.end_sync(&mut self.work);
        }
    }

    /// Before dumps of the neighbours and forwarding databases of a namespace.
    pub fn begin_neighbours(&mut self, key: SpaceKey) {
        if let Some(space) = space_mut(&mut self.slots, key) {
            space.begin_neighbours();
        }
    }

    /// After those dumps: removes what none of them mentioned.
    pub fn end_neighbours(&mut self, key: SpaceKey) {
        if let Some(space) = space_mut(&mut self.slots, key) {
            space.end_neighbours(&mut self.work);
        }
    }

    /// The next interface whose driver is to be asked: namespace, number and name. The answer
    /// goes to [`Self::set_card`].
    pub fn next_inquiry(&mut self) -> Option<(SpaceKey, u32, Text)> {
        while let Some((key, ifindex)) = self.work.curious.pop_front() {
            if let Some(one) = interface_mut(&mut self.slots, key, ifindex) {
                one.asking = false;
                return Some((key, ifindex, one.link.name.clone()));
            }
        }
        None
    }

    /// Whether there are drivers to ask.
    #[must_use]
    pub fn has_inquiries(&self) -> bool {
        !self.work.curious.is_empty()
    }

    /// Has all drivers asked again: they say nothing of their own accord.
    pub fn inquire_all(&mut self) {
        for space in self.slots.iter_mut().flatten() {
            for (ifindex, one) in &mut space.interfaces {
                if one.asked && !one.asking {
                    one.asking = true;
                    self.work.curious.push_back((space.key, *ifindex));
                }
            }
        }
    }

    /// Takes what a driver said; `None` if it said nothing.
    pub fn set_card(&mut self, key: SpaceKey, ifindex: u32, facts: Option<&CardFacts>) {
        let Some(space) = space_mut(&mut self.slots, key) else { return };
        let settled = space.settled;
        let Some(one) = space.interfaces.get_mut(&ifindex) else { return };
        let first = !std::mem::replace(&mut one.asked, true);
        let mut card = Card::default();
        if let Some(facts) = facts {
            let shared = &mut self.shared;
            card.driver = facts.driver.as_str().into();
            card.bus = facts.bus.as_str().into();
            card.speed = facts.speed.unwrap_or(0);
            card.full_duplex = facts.full_duplex;
            if !facts.features.is_empty() {
                card.features = Some(shared.features(&facts.features));
            }
        }
        let card = self.shared.card(card);
        let parts = if first {
            Parts::ALL
        } else if one.card == card {
            Parts::default()
        } else {
            Parts::CARD
        };
        one.card = card;
        mark((key, ifindex), one, parts, settled, &mut self.work);
    }

    /// The next question about numbers of namespaces. The answer goes to [`Self::answer`].
    pub fn next_question(&mut self) -> Option<Question> {
        while let Some(search) = self.searches.front_mut() {
            let (asker, id) = (search.asker, search.id);
            let known = self.slots.get(usize::from(asker.index)).and_then(Option::as_ref);
            let open =
                known.is_some_and(|space| space.key == asker && !space.ids.contains_key(&id));
            if let Some(about) = search.candidates.pop_front().filter(|_| open) {
                return Some(Question { asker, about });
            }
            self.searches.pop_front();
        }
        None
    }

    /// Takes the answer to a question; `None` if the one has no number in the other.
    pub fn answer(&mut self, question: Question, id: Option<u32>) {
        let Some(id) = id.and_then(|id| i32::try_from(id).ok()) else { return };
        if space_mut(&mut self.slots, question.about).is_none() {
            return;
        }
        let Some(space) = space_mut(&mut self.slots, question.asker) else { return };
        if space.ids.insert(id, question.about) == Some(question.about) {
            return;
        }
        for (ifindex, one) in &mut space.interfaces {
            if one.link.parent_namespace == Some(id) {
                mark((space.key, *ifindex), one, Parts::LINK, space.settled, &mut self.work);
            }
        }
        self.news = true;
    }

    /// Interfaces whose description may have changed without a message: they are to be asked
    /// for.
    pub fn take_wishes(&mut self) -> impl Iterator<Item = (SpaceKey, u32)> + use<> {
        std::mem::take(&mut self.wishes).into_iter()
    }

    /// Writes what changed into the graph, a bounded piece of it; `true` if there is more.
    /// `random` makes the bytes of new identifiers.
    pub fn flush(
        &mut self,
        graph: &mut Graph,
        clock: &Clock,
        random: &mut dyn FnMut() -> [u8; 16],
    ) -> bool {
        let now = clock.wall.millis();
        self.show_roots(graph, now, random);
        for id in std::mem::take(&mut self.work.gone) {
            graph.remove_node(&id, now);
        }
        if clock.tick >= self.lazy_due && !self.work.lazy.is_empty() {
            self.lazy_due = clock.tick.plus(LAZY);
            for (key, ifindex) in std::mem::take(&mut self.work.lazy) {
                let Some(one) = interface_mut(&mut self.slots, key, ifindex) else { continue };
                one.waiting = false;
                if !std::mem::replace(&mut one.queued, true) {
                    self.work.dirty.push_back((key, ifindex));
                }
            }
        }
        if self.pass_left == 0 && clock.tick >= self.pass_due && !self.work.dirty.is_empty() {
            self.pass_left = self.work.dirty.len();
            self.pass_due = clock.tick.plus(PASS);
        }
        let pass = self.pass_left.min(BUDGET);
        self.pass_left = self.pass_left.saturating_sub(pass);
        for _ in 0..pass {
            let Some((key, ifindex)) = self.work.dirty.pop_front() else { break };
            self.show(graph, key, ifindex, now, random);
        }
        if self.pass_left == 0 && std::mem::take(&mut self.news) {
            for (key, ifindex) in std::mem::take(&mut self.dangling) {
                self.connect(graph, key, ifindex, now);
            }
        }
        self.expire_departed(graph, clock);
        self.peers.follow(graph, clock, &self.host, &self.origin);
        self.pass_left > 0
    }

    /// When [`Self::flush`] has something to do that no message announces.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        let lazy = (!self.work.lazy.is_empty()).then_some(self.lazy_due);
        let departed = self.work.departed.front().map(|departed| departed.at.plus(JOURNEY));
        let pass = (!self.work.dirty.is_empty()).then_some(self.pass_due);
        [lazy, departed, pass].into_iter().flatten().min()
    }

    /// Where an interface is by the id of its node: its namespace and its number there.
    #[must_use]
    pub fn place_of(&self, graph: &Graph, node: &str) -> Option<(SpaceKey, u32)> {
        let ifindex = u32::try_from(graph.node(node)?.metadata.int("IfIndex")?).ok()?;
        let root = &graph.owner(node)?.id;
        let space = self.slots.iter().flatten().find(|space| space.root.as_ref() == Some(root))?;
        let one = space.interfaces.get(&ifindex)?;
        (one.node.as_deref() == Some(node)).then_some((space.key, ifindex))
    }

    /// The namespaces, the agent's own first: key, name, path, inode, interfaces.
    pub fn list(&self) -> impl Iterator<Item = (SpaceKey, &str, &str, u64, usize)> {
        let spaces = self.slots.iter().flatten();
        spaces.map(|s| (s.key, &*s.name, &*s.path, s.inode, s.interfaces.len()))
    }

    /// The id of the host's node, once there is one.
    #[must_use]
    pub fn host_node(&self) -> Option<&Id> {
        self.slots.first()?.as_ref()?.root.as_ref()
    }

    /// Entries left out because of a cap.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.work.left_out
    }

    /// Makes the nodes of namespaces that have none, and keeps that of the host up to date.
    fn show_roots(&mut self, graph: &mut Graph, now: i64, random: &mut dyn FnMut() -> [u8; 16]) {
        let host_lost = self.forget_lost_roots(graph);
        let mut host_id = self.host_node().map(Rc::clone);
        let (host, origin) = (&self.host, &self.origin);
        for space in self.slots.iter_mut().flatten().filter(|space| space.root.is_none()) {
            let id: Id = Uuid::random(random()).to_string().into();
            let tid = Value::from(Rc::clone(&space.tid));
            let metadata = if space.key == HOME {
                let name = Value::from(Rc::clone(host));
                Map::new()
                    .with("Name", name.clone())
                    .with("Type", "host")
                    .with("Hostname", name)
                    .with("TID", tid)
            } else {
                Map::new()
                    .with("Name", Rc::clone(&space.name))
                    .with("Type", "netns")
                    .with("Path", Rc::clone(&space.path))
                    .with("Inode", space.inode)
                    .with("Device", space.device)
                    .with("TID", tid)
            };
            let node = Node::new(Rc::clone(&id), metadata, host, origin, now);
            if graph.add_node(node).is_err() {
                continue;
            }
            if let Some(parent) = &host_id {
                let relation = "ownership";
                let link = Link { parent, child: &id, relation, host, origin };
                // Only a full graph refuses, and counts that itself.
                let _ = graph.link(link, Map::new(), now);
            }
            host_id = host_id.or_else(|| Some(Rc::clone(&id)));
            space.root = Some(id);
        }
        if let (true, Some(parent)) = (host_lost, &host_id) {
            let relation = "ownership";
            for child in self.slots.iter().flatten().filter_map(|space| space.root.as_ref()) {
                if child != parent {
                    let link = Link { parent, child, relation, host, origin };
                    let _ = graph.link(link, Map::new(), now);
                }
            }
        }
        if std::mem::take(&mut self.machine_changed)
            && let Some(id) = self.host_node()
        {
            let _ = graph.update_node(id, now, |metadata| {
                for (key, value) in self.machine.iter() {
                    metadata.set(key.to_owned(), value.clone());
                }
            });
        }
    }

    /// Forgets nodes of namespaces that a client has deleted, so that they are made anew: what is
    /// there stays on the map. `true` if that of the host is among them.
    fn forget_lost_roots(&mut self, graph: &Graph) -> bool {
        let mut host_lost = false;
        for space in self.slots.iter_mut().flatten() {
            if space.root.as_ref().is_none_or(|root| graph.node(root).is_some()) {
                continue;
            }
            space.root = None;
            if space.key == HOME {
                host_lost = true;
                self.machine_changed = true;
            }
            for (ifindex, one) in &mut space.interfaces {
                mark((space.key, *ifindex), one, Parts::LINK, space.settled, &mut self.work);
            }
        }
        host_lost
    }

    /// Has the edges drawn again that other interfaces have to this one.
    fn redraw_towards(&mut self, key: SpaceKey, ifindex: u32) {
        for space in self.slots.iter_mut().flatten() {
            for (other, one) in &mut space.interfaces {
                let is_port = space.key == key && one.link.master == ifindex;
                if is_port || one.link.parent == ifindex {
                    mark((space.key, *other), one, Parts::LINK, space.settled, &mut self.work);
                }
            }
        }
    }

    /// Shows what changed of one interface.
    fn show(
        &mut self,
        graph: &mut Graph,
        key: SpaceKey,
        ifindex: u32,
        now: i64,
        random: &mut dyn FnMut() -> [u8; 16],
    ) {
        let Some(space) = space(&self.slots, key) else { return };
        let Some(one) = space.interfaces.get(&ifindex) else { return };
        let name_of_other = one
            .link
            .parent_namespace
            .and_then(|id| space.ids.get(&id))
            .and_then(|other| self::space(&self.slots, *other))
            .filter(|other| other.key != HOME)
            .map(|other| Rc::clone(&other.name));
        let Some(space) = space_mut(&mut self.slots, key) else { return };
        let (tid, root) = (Rc::clone(&space.tid), space.root.clone());
        let Some(one) = space.interfaces.get_mut(&ifindex) else { return };
        one.queued = false;
        // A namespace that the graph has no room for.
        if root.is_none() {
            return;
        }
        let identity = |one: &Interface| {
            Value::from(Uuid::named(OID, &[&tid, &one.link.name, one.kind()]).to_string())
        };
        let mut moved = false;
        // A client may have deleted it; what is there comes back when it changes.
        let lost = one.node.take_if(|id| graph.node(id).is_none()).is_some();
        if one.node.is_none()
            && let Some(old) = adopt(&mut self.work.departed, key, ifindex, one)
        {
            one.node = old.interface.node;
            one.edges = old.interface.edges;
            moved = true;
        }
        if one.node.is_none() || moved {
            one.dirty = Parts::ALL;
        }
        let other = name_of_other.as_ref();
        let linked = one.dirty.has(Parts::LINK.with(Parts::CARD));
        match &one.node {
            Some(id) => {
                let tid = moved.then(|| identity(one));
                // A refusal is counted by the graph; the last version that fitted stays.
                let _ = graph.update_node(id, now, |metadata| {
                    metadata::show(one, ifindex, other, &mut self.shared, metadata);
                    if let Some(tid) = tid {
                        metadata.set("TID", tid);
                    }
                });
            }
            None => {
                let id: Id = Uuid::random(random()).to_string().into();
                let mut new = Map::new().with("TID", identity(one));
                metadata::show(one, ifindex, other, &mut self.shared, &mut new);
                let node = Node::new(Rc::clone(&id), new, &self.host, &self.origin, now);
                if graph.add_node(node).is_err() {
                    return;
                }
                one.node = Some(id);
                self.news = true;
            }
        }
        one.dirty = Parts::default();
        if let Some(metric) = &mut one.metric {
            metric.update = None;
        }
        self.news |= moved;
        if linked {
            self.connect(graph, key, ifindex, now);
        }
        if lost {
            self.redraw_towards(key, ifindex);
        }
    }

    /// Draws the edges of an interface and takes out those that are no longer true.
    fn connect(&mut self, graph: &mut Graph, key: SpaceKey, ifindex: u32, now: i64) {
        let Some(space) = space(&self.slots, key) else { return };
        let Some(one) = space.interfaces.get(&ifindex) else { return };
        let (Some(node), Some(root)) = (&one.node, &space.root) else { return };
        // Parent, child, relation, type.
        let mut wanted: Vec<(Id, Id, &'static str, Option<&str>)> = Vec::with_capacity(3);
        wanted.push((Rc::clone(root), Rc::clone(node), "ownership", None));
        let mut dangling = false;
        if one.link.master != 0 {
            match space.interfaces.get(&one.link.master).and_then(|master| master.node.as_ref()) {
                Some(master) => {
                    wanted.push((Rc::clone(master), Rc::clone(node), "layer2", None));
                }
                None => dangling = true,
            }
        }
        let mut wish = None;
        let mut search = None;
        if one.link.parent != 0 {
            let other = self.other_end(space, one);
            let found = other.and_then(|(key, index)| {
                let space = self::space(&self.slots, key)?;
                Some((space, space.interfaces.get(&index)?, index))
            });
            match found {
                Some((its_space, peer, its_index)) if peer.node.is_some() => {
                    let id = peer.node.clone().unwrap_or_else(|| "".into());
                    if one.is_veth() {
                        // The end with the greater number is the parent; if both have the same,
                        // the order of their identifiers decides.
                        let mine = (ifindex, node) > (its_index, &id);
                        let (parent, child) =
                            if mine { (Rc::clone(node), id) } else { (id, Rc::clone(node)) };
                        wanted.push((parent, child, "layer2", Some("veth")));
                        // The kernel does not tell one end that the other moved or came.
                        if self.other_end(its_space, peer) != Some((key, ifindex)) && !one.nudged {
                            wish = Some((its_space.key, its_index));
                        }
                    } else if one.link.vlan_id.is_some() {
                        wanted.push((id, Rc::clone(node), "layer2", Some("vlan")));
                    } else {
                        wanted.push((id, Rc::clone(node), "lower", Some(one.kind())));
                    }
                }
                _ => {
                    dangling = true;
                    search = one.link.parent_namespace.filter(|id| !space.ids.contains_key(id));
                }
            }
        }
        let mut edges = Vec::with_capacity(wanted.len());
        for (parent, child, relation, kind) in &wanted {
            let id = edge_id(parent, child, relation);
            if graph.edge(&id).is_none() {
                let mut metadata = Map::new();
                metadata.put("Type", kind.map(Value::from));
                let (host, origin) = (&self.host, &self.origin);
                let link = Link { parent, child, relation, host, origin };
                // Only a full graph refuses, and counts that itself.
                let _ = graph.link(link, metadata, now);
            }
            // The graph's own copy: one is enough.
            edges.push(graph.edge(&id).map_or(id, |edge| Rc::clone(&edge.element.id)));
        }
        for old in one.edges.iter().filter(|old| !edges.contains(old)) {
            graph.remove_edge(old, now);
        }
        if let Some(one) = interface_mut(&mut self.slots, key, ifindex) {
            one.edges = edges.into();
            one.nudged |= wish.is_some();
        }
        self.wishes.extend(wish);
        if dangling {
            self.dangling.insert((key, ifindex));
        } else {
            self.dangling.remove(&(key, ifindex));
        }
        if let Some(id) = search {
            self.search(key, ifindex, id);
        }
    }

    /// The interface that `IFLA_LINK` names, in whichever namespace.
    fn other_end(&self, space: &Space, one: &Interface) -> Option<(SpaceKey, u32)> {
        let key = match one.link.parent_namespace {
            None => space.key,
            Some(id) => *space.ids.get(&id)?,
        };
        (one.link.parent != 0).then_some((key, one.link.parent))
    }

    /// Begins to look for the namespace behind a number.
    fn search(&mut self, asker: SpaceKey, ifindex: u32, id: i32) {
        let Some(space) = space_mut(&mut self.slots, asker) else { return };
        if space.sought.insert(id, ()).is_some() {
            return;
        }
        let Some(one) = space.interfaces.get(&ifindex) else { return };
        let (parent, known) = (one.link.parent, space.ids.clone());
        let others = self.slots.iter().flatten();
        let others = others.filter(|s| s.key != asker && !known.values().any(|k| *k == s.key));
        let mut candidates: Vec<(bool, SpaceKey)> = others
            .map(|other| {
                let end = other.interfaces.get(&parent);
                let likely = end.is_some_and(|end| end.link.parent == ifindex);
                (!likely, other.key)
            })
            .collect();
        candidates.sort_unstable();
        let candidates = candidates.into_iter().map(|(_, key)| key).collect();
        self.searches.push_back(Search { asker, id, candidates });
    }

    /// A namespace was added: it may be the one that a number stands for.
    fn look_again(&mut self, new: SpaceKey) {
        for space in self.slots.iter().flatten().filter(|space| space.key != new) {
            let sought = space.sought.iter().map(|(id, ())| id);
            let open = sought.filter(|id| !space.ids.contains_key(id));
            // One answer tells which number it is; all are tried.
            for id in open {
                let candidates = VecDeque::from([new]);
                self.searches.push_back(Search { asker: space.key, id: *id, candidates });
            }
        }
    }

    /// Interfaces that arrived nowhere have gone out of sight.
    fn expire_departed(&mut self, graph: &mut Graph, clock: &Clock) {
        while let Some(first) = self.work.departed.front() {
            let late = clock.tick.since(first.at) >= JOURNEY;
            if !late && self.work.departed.len() <= MAX_DEPARTED {
                break;
            }
            let gone = self.work.departed.pop_front();
            if let Some(node) = gone.and_then(|gone| gone.interface.node) {
                graph.remove_node(&node, clock.wall.millis());
            }
        }
    }
}

/// The interface that a new one was before it moved here.
fn adopt(
    departed: &mut VecDeque<Departed>,
    key: SpaceKey,
    ifindex: u32,
    new: &Interface,
) -> Option<Departed> {
    let at = departed.iter().position(|old| {
        let link = &old.interface.link;
        old.from != key
            && old.ifindex.is_none_or(|number| number == ifindex)
            && link.kind == new.link.kind
            && link.mac == new.link.mac
            && (old.ifindex.is_some() || link.name == new.link.name)
    })?;
    departed.remove(at)
}

fn space(slots: &[Option<Space>], key: SpaceKey) -> Option<&Space> {
    slots.get(usize::from(key.index))?.as_ref().filter(|space| space.key == key)
}

fn space_mut(slots: &mut [Option<Space>], key: SpaceKey) -> Option<&mut Space> {
    slots.get_mut(usize::from(key.index))?.as_mut().filter(|space| space.key == key)
}

fn interface_mut(
    slots: &mut [Option<Space>],
    key: SpaceKey,
    ifindex: u32,
) -> Option<&mut Interface> {
    space_mut(slots, key)?.interfaces.get_mut(&ifindex).map(AsMut::as_mut)
}

#[cfg(test)]
mod tests;
