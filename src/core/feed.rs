//! What WebSocket clients follow: the graph, flows, captures and alerts. A message is made once
//! and shared by all that want it; each member has a bounded queue, and when that is full the
//! newest message is dropped whole, counted, and the member told.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::rc::Rc;

use crate::time::Wall;
use crate::topology::graph::Event;
use crate::wire::uuid::Uuid;

/// Members at once; further ones are refused.
pub const MAX_MEMBERS: usize = 256;

/// Octets of messages that wait for one member. A larger one is taken by an empty queue alone.
pub const MAX_QUEUED: usize = 256 * 1024;

/// Messages that wait for one member, however small.
const MAX_MESSAGES: usize = 4_096;

/// Changes of the graph that are told at a time: who reads must get the time to take them before
/// more come, or a change of a thousand interfaces would overflow the quickest.
const GRAPH_TURN: usize = 32;

/// Changes of the graph that wait for their turn; what is more is told at once, and lost where it
/// finds no room.
const MAX_UNTOLD: usize = 2_048;

/// The namespace of changes of the graph.
pub const GRAPH: &str = "Graph";

/// The namespace of all flows.
pub const FLOW: &str = "flow";

/// The namespace of the statistics of captures.
pub const STATS: &str = "stats";

/// The namespace of captures that come, change and go.
pub const CAPTURE: &str = "OnDemandCaptureNotification";

/// The namespace of alerts.
pub const ALERT: &str = "Alert";

/// Something to tell.
#[derive(Clone, Debug)]
pub enum Message {
    /// An alert fired: its message, a JSON object.
    Alert(Rc<[u8]>),
    /// A capture came, changed or went.
    Capture {
        /// `Added`, `Deleted` or `NodeUpdated`.
        kind: &'static str,
        /// The capture, a JSON object.
        json: Rc<[u8]>,
    },
    /// Flows that began, changed or ended.
    Flows {
        /// [`FLOW`], or `flow/` and the identity of a capture.
        namespace: Rc<str>,
        /// The flows, a JSON list.
        json: Rc<[u8]>,
        /// The same as a protobuf message, if somebody wants that.
        protobuf: Option<Rc<[u8]>>,
    },
    /// A change of the graph.
    Graph(Event),
    /// Figures of one capture.
    Stats {
        /// A JSON object.
        json: Rc<[u8]>,
        /// The same as a protobuf message, if somebody wants that.
        protobuf: Option<Rc<[u8]>>,
    },
}

impl Message {
    /// What clients call its subject.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match self {
            Self::Alert(_) => ALERT,
            Self::Capture { .. } => CAPTURE,
            Self::Flows { namespace, .. } => namespace,
            Self::Graph(_) => GRAPH,
            Self::Stats { .. } => STATS,
        }
    }

    /// The message as protobuf, if it was made so.
    #[must_use]
    pub fn protobuf(&self) -> Option<&[u8]> {
        match self {
            Self::Flows { protobuf, .. } | Self::Stats { protobuf, .. } => protobuf.as_deref(),
            Self::Alert(_) | Self::Capture { .. } | Self::Graph(_) => None,
        }
    }

    /// Octets, roughly, for the bound of a queue.
    fn weight(&self) -> usize {
        let body = match self {
            Self::Alert(json)
            | Self::Stats { json, .. }
            | Self::Capture { json, .. }
            | Self::Flows { json, .. } => json.len(),
            Self::Graph(event) => match event {
                Event::NodeAdded(node) | Event::NodeDeleted(node) | Event::NodeUpdated(node, _) => {
                    node.metadata.weight()
                }
                Event::EdgeAdded(edge) | Event::EdgeDeleted(edge) | Event::EdgeUpdated(edge, _) => {
                    edge.element.metadata.weight()
                }
            },
        };
        body.saturating_add(128)
    }
}

/// The forms in which one message is sent; each is made at most once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Form {
    Json,
    PartialJson,
    Protobuf,
    PartialProtobuf,
    ProtobufBody,
}

/// A message on its way, shared by everybody who gets it.
#[derive(Debug)]
pub struct Item {
    /// What is told.
    pub message: Message,
    /// Names this telling of it.
    pub uuid: Uuid,
    weight: usize,
    forms: RefCell<[Option<Rc<[u8]>>; 5]>,
}

impl Item {
    /// The message in one form; `make` is called if nobody has asked for that form yet.
    pub fn form(&self, form: Form, make: impl FnOnce(&Self) -> Vec<u8>) -> Rc<[u8]> {
        let known = self.forms.borrow().get(form as usize).cloned().flatten();
        known.unwrap_or_else(|| {
            let made: Rc<[u8]> = make(self).into();
            if let Some(place) = self.forms.borrow_mut().get_mut(form as usize) {
                *place = Some(Rc::clone(&made));
            }
            made
        })
    }
}

/// What a member connected to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// The stream of flows.
    Flows,
    /// Nodes and edges from clients.
    Publisher,
    /// Both of the graph's.
    PubSub,
    /// Changes of the graph, captures and alerts.
    Subscriber,
}

/// A client of a WebSocket.
#[derive(Clone, Debug)]
pub struct Peer {
    /// What it connected to.
    pub endpoint: Endpoint,
    /// What it calls itself.
    pub host: Rc<str>,
    /// What kind of client it says it is.
    pub service: Rc<str>,
    /// Whether it speaks protobuf instead of JSON.
    pub protobuf: bool,
    /// Where it is.
    pub address: SocketAddr,
    /// Since when.
    pub since: Wall,
}

/// What a member wants to be told.
#[derive(Clone, Debug, Default)]
pub struct Wants {
    /// Namespaces, `*` for all of the endpoint; none means the usual ones.
    pub namespaces: Vec<Box<str>>,
    /// Changes of the graph come by another way: the member has a filter.
    pub graph_apart: bool,
    /// Flows and statistics are wanted as protobuf.
    pub bodies: bool,
}

/// Names a member until it leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemberId {
    slot: u16,
    generation: u32,
}

/// Why somebody cannot become a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// There are [`MAX_MEMBERS`].
    Full,
    /// Another one of that name is there.
    Taken,
}

#[derive(Debug)]
struct Member {
    peer: Peer,
    wants: Wants,
    queue: VecDeque<Rc<Item>>,
    queued: usize,
    /// So many changes of the graph to come are known to it already.
    known: usize,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    member: Option<Member>,
}

/// All members.
#[derive(Debug, Default)]
pub struct Feed {
    places: Vec<Place>,
    /// Tells messages apart.
    count: u64,
    random: RandomState,
    /// Changes of the graph that are to be told.
    untold: VecDeque<Event>,
    /// Something was published since the last look.
    fresh: bool,
    /// Messages dropped because a queue was full, over all members and ever.
    pub dropped: u64,
}

impl Feed {
    /// Takes in a member.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn join(&mut self, peer: Peer, wants: Wants) -> Result<MemberId, Refused> {
        let same = |p: &Peer| p.endpoint == peer.endpoint && p.host == peer.host;
        if self.peers().any(same) {
            return Err(Refused::Taken);
        }
        let free = self.places.iter().position(|place| place.member.is_none());
        let slot = match free {
            Some(slot) => slot,
            None if self.places.len() < MAX_MEMBERS => {
                self.places.push(Place::default());
                self.places.len().saturating_sub(1)
            }
            None => return Err(Refused::Full),
        };
        let place = self.places.get_mut(slot).ok_or(Refused::Full)?;
        place.generation = place.generation.wrapping_add(1);
        place.member =
            Some(Member { peer, wants, queue: VecDeque::new(), queued: 0, known: 0, dropped: 0 });
        let slot = u16::try_from(slot).map_err(|_| Refused::Full)?;
        Ok(MemberId { slot, generation: place.generation })
    }

    /// Lets a member go, with what waited for it.
    pub fn leave(&mut self, id: MemberId) {
        let place = self.places.get_mut(usize::from(id.slot));
        if let Some(place) = place.filter(|place| place.generation == id.generation) {
            place.member = None;
        }
    }

    /// Takes in changes of the graph, to be told by [`Self::tell`].
    pub fn hold(&mut self, events: Vec<Event>) {
        if !self.wants(GRAPH) {
            self.untold.clear();
            return;
        }
        self.untold.extend(events);
        while self.untold.len() > MAX_UNTOLD {
            self.tell_one();
        }
    }

    /// Tells some of the changes that were taken in; `true` if there are more.
    pub fn tell(&mut self) -> bool {
        for _ in 0..GRAPH_TURN {
            self.tell_one();
        }
        !self.untold.is_empty()
    }

    fn tell_one(&mut self) {
        if let Some(event) = self.untold.pop_front() {
            self.publish(Message::Graph(event));
        }
    }

    /// Notes that a member knows the graph as it is now: changes on their way are not for it.
    pub fn knows_graph(&mut self, id: MemberId) {
        let untold = self.untold.len();
        if let Some(member) = self.member(id) {
            member.known = untold;
            member.queue.retain(|item| item.message.namespace() != GRAPH);
            member.queued = member.queue.iter().map(|item| item.weight).sum();
        }
    }

    /// Says whether changes of the graph come to a member by another way from now on.
    pub fn set_graph_apart(&mut self, id: MemberId, apart: bool) {
        if let Some(member) = self.member(id) {
            member.wants.graph_apart = apart;
        }
    }

    /// Whether anybody wants messages of a namespace: ask before making one.
    #[must_use]
    pub fn wants(&self, namespace: &str) -> bool {
        self.members().any(|member| member.is_for(namespace))
    }

    /// Whether anybody wants flows at all, of whichever capture.
    #[must_use]
    pub fn wants_flows(&self) -> bool {
        self.members().any(|member| member.peer.endpoint == Endpoint::Flows)
    }

    /// Whether anybody wants flows and statistics as protobuf: ask before making it.
    #[must_use]
    pub fn wants_bodies(&self) -> bool {
        self.members().any(|member| member.wants.bodies)
    }

    /// Tells everybody who wants to know.
    pub fn publish(&mut self, message: Message) {
        let of_graph = matches!(message, Message::Graph(_));
        if !self.wants(message.namespace()) {
            return;
        }
        let weight = message.weight();
        let uuid = self.uuid();
        let item = Rc::new(Item { message, uuid, weight, forms: RefCell::default() });
        let members = self.places.iter_mut().filter_map(|place| place.member.as_mut());
        for member in members {
            if of_graph && member.known > 0 {
                member.known = member.known.saturating_sub(1);
                continue;
            }
            if !member.is_for(item.message.namespace()) {
                continue;
            }
            let full = member.queue.len() >= MAX_MESSAGES
                || member.queued.saturating_add(weight) > MAX_QUEUED;
            if full && !member.queue.is_empty() {
                member.dropped = member.dropped.saturating_add(1);
                self.dropped = self.dropped.saturating_add(1);
            } else {
                member.queue.push_back(Rc::clone(&item));
                member.queued = member.queued.saturating_add(weight);
            }
            self.fresh = true;
        }
    }

    /// A random identity for a message.
    pub fn uuid(&mut self) -> Uuid {
        self.count = self.count.wrapping_add(1);
        let half = |salt: u8| self.random.hash_one((self.count, salt));
        let (high, low) = (half(0), half(1));
        Uuid::random((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }

    /// The next message for a member.
    pub fn next(&mut self, id: MemberId) -> Option<Rc<Item>> {
        let member = self.member(id)?;
        let item = member.queue.pop_front()?;
        member.queued = member.queued.saturating_sub(item.weight);
        Some(item)
    }

    /// How many messages wait for a member now: what is said after them comes behind them.
    #[must_use]
    pub fn waiting(&self, id: MemberId) -> usize {
        self.look(id).map_or(0, |member| member.queue.len())
    }

    /// Messages lost by a member since the last call.
    pub fn take_dropped(&mut self, id: MemberId) -> u64 {
        self.member(id).map_or(0, |member| std::mem::take(&mut member.dropped))
    }

    /// Notes that members may have something to look at.
    pub const fn note(&mut self) {
        self.fresh = true;
    }

    /// Whether something was published since the last call.
    pub const fn take_fresh(&mut self) -> bool {
        std::mem::replace(&mut self.fresh, false)
    }

    /// Whether [`Self::next`] or [`Self::take_dropped`] has something.
    #[must_use]
    pub fn pending(&self, id: MemberId) -> bool {
        self.look(id).is_some_and(|member| !member.queue.is_empty() || member.dropped > 0)
    }

    /// Everybody who is connected.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.members().map(|member| &member.peer)
    }

    /// Members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members().count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn members(&self) -> impl Iterator<Item = &Member> {
        self.places.iter().filter_map(|place| place.member.as_ref())
    }

    fn look(&self, id: MemberId) -> Option<&Member> {
        let place = self.places.get(usize::from(id.slot))?;
        place.member.as_ref().filter(|_| place.generation == id.generation)
    }

    fn member(&mut self, id: MemberId) -> Option<&mut Member> {
        let place = self.places.get_mut(usize::from(id.slot))?;
        place.member.as_mut().filter(|_| place.generation == id.generation)
    }
}

impl Member {
    fn is_for(&self, namespace: &str) -> bool {
        let of_flows = namespace == FLOW || namespace == STATS || namespace.starts_with("flow/");
        let of_endpoint = match self.peer.endpoint {
            Endpoint::Flows => of_flows,
            Endpoint::Publisher => false,
            Endpoint::PubSub | Endpoint::Subscriber => !of_flows,
        };
        if !of_endpoint || (namespace == GRAPH && self.wants.graph_apart) {
            return false;
        }
        let named = &self.wants.namespaces;
        if named.is_empty() {
            // Statistics are no list of flows, and clients that ask for nothing expect flows.
            return namespace == FLOW || !of_flows;
        }
        let all = |name: &str| name == "*" && !namespace.starts_with("flow/");
        named.iter().any(|name| **name == *namespace || all(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(endpoint: Endpoint, host: &str) -> Peer {
        let address = ([127, 0, 0, 1], 1).into();
        let since = Wall::default();
        Peer { endpoint, host: host.into(), service: "t".into(), protobuf: false, address, since }
    }

    fn flows(namespace: &str, octets: usize) -> Message {
        let json = vec![b' '; octets].into();
        Message::Flows { namespace: namespace.into(), json, protobuf: None }
    }

    fn named(namespaces: &[&str]) -> Wants {
        let namespaces = namespaces.iter().map(|name| (*name).into()).collect();
        Wants { namespaces, ..Wants::default() }
    }

    #[test]
    fn each_gets_the_namespaces_it_asked_for() {
        let mut feed = Feed::default();
        let plain = feed.join(peer(Endpoint::Flows, "a"), Wants::default()).unwrap();
        let all = feed.join(peer(Endpoint::Flows, "b"), named(&["*"])).unwrap();
        let one = feed.join(peer(Endpoint::Flows, "c"), named(&["flow/7", "stats"])).unwrap();
        let graph = feed.join(peer(Endpoint::Subscriber, "a"), Wants::default()).unwrap();
        let alerts = feed.join(peer(Endpoint::Subscriber, "b"), named(&["Alert"])).unwrap();
        for message in [
            flows("flow", 1),
            flows("flow/7", 1),
            flows("flow/8", 1),
            Message::Stats { json: vec![].into(), protobuf: None },
            Message::Alert(vec![].into()),
            Message::Capture { kind: "Added", json: vec![].into() },
        ] {
            feed.publish(message);
        }
        let mut got = |id| {
            let items = std::iter::from_fn(|| feed.next(id));
            items.map(|item| item.message.namespace().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(got(plain), ["flow"]);
        assert_eq!(got(all), ["flow", "stats"]);
        assert_eq!(got(one), ["flow/7", "stats"]);
        assert_eq!(got(graph), ["Alert", "OnDemandCaptureNotification"]);
        assert_eq!(got(alerts), ["Alert"]);
        assert!(feed.wants("flow/7") && !feed.wants("flow/8") && feed.wants("Graph"));
    }

    #[test]
    fn a_full_queue_drops_the_newest_whole_and_counts() {
        let mut feed = Feed::default();
        let slow = feed.join(peer(Endpoint::Flows, "a"), Wants::default()).unwrap();
        feed.publish(flows("flow", 2 * MAX_QUEUED));
        assert_eq!(feed.waiting(slow), 1, "a large one fits an empty queue");
        feed.publish(flows("flow", 1));
        assert_eq!((feed.waiting(slow), feed.take_dropped(slow), feed.dropped), (1, 1, 1));
        assert!(feed.next(slow).is_some() && feed.next(slow).is_none());
        for _ in 0..2 * MAX_MESSAGES {
            feed.publish(flows("flow", 1));
        }
        let bound = (MAX_QUEUED / 129).min(MAX_MESSAGES);
        assert_eq!(feed.waiting(slow), bound);
    }

    #[test]
    fn a_name_is_taken_once_for_each_endpoint_and_free_again_afterwards() {
        let mut feed = Feed::default();
        let first = feed.join(peer(Endpoint::Flows, "a"), Wants::default()).unwrap();
        let again = feed.join(peer(Endpoint::Flows, "a"), Wants::default());
        assert_eq!(again, Err(Refused::Taken));
        assert!(feed.join(peer(Endpoint::Publisher, "a"), Wants::default()).is_ok());
        feed.leave(first);
        let second = feed.join(peer(Endpoint::Flows, "a"), Wants::default()).unwrap();
        feed.publish(flows("flow", 1));
        assert!(feed.next(first).is_none() && feed.next(second).is_some());
        for n in feed.len()..MAX_MEMBERS {
            feed.join(peer(Endpoint::Flows, &n.to_string()), Wants::default()).unwrap();
        }
        let more = feed.join(peer(Endpoint::Flows, "more"), Wants::default());
        assert_eq!(more, Err(Refused::Full));
    }

    #[test]
    fn a_form_is_made_once_for_all() {
        let mut feed = Feed::default();
        let ids: Vec<MemberId> = ["a", "b"]
            .iter()
            .map(|host| feed.join(peer(Endpoint::Flows, host), Wants::default()).unwrap())
            .collect();
        feed.publish(flows("flow", 1));
        let mut made = 0;
        for id in ids {
            let item = feed.next(id).unwrap();
            let form = item.form(Form::Json, |_| {
                made += 1;
                b"x".to_vec()
            });
            assert_eq!(&*form, b"x");
        }
        assert_eq!(made, 1);
    }
}
