//! What is captured where: each capture is attached to the nodes that its expression gives, now
//! or later, and stays there until the capture or the node goes. `io` opens the packet sockets
//! that are wanted here, says how that went and hands their frames in.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::capture::store::{Settings, TableId};
use crate::filter::names::Names;
use crate::filter::{self, Program};
use crate::query::{self, Answer, CAPTURABLE, Query, World};
use crate::source::Frame;
use crate::time::Tick;
use crate::topology::graph::{Id, Node};
use crate::topology::value::{Map, Value};
use crate::wire::link::LinkType;

use super::Agent;
use super::agent::{Cursor, Reply};
use super::command::{Failure, Page};
use super::feed::{CAPTURE, Message};
use super::flow_news::News;
use super::resources::Kind;
use super::resources::capture::{Capture, Target};
use super::row::Row;

/// Captures attached to nodes at once; further nodes are left out and counted.
pub const MAX_ATTACHMENTS: usize = 1_024;

/// Elements that one expression of a capture, a rule or an alert may look at in one look.
pub(super) const LOOK_VISITS: usize = 200_000;

/// Microseconds between two publications of the counters of a node's captures.
const TELL_EVERY: u64 = 5_000_000;

/// Names an attachment until it is over.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Place {
    /// Its place in the table.
    pub slot: u16,
    /// Counts the users of that place.
    pub generation: u16,
}

/// How far an attachment has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// Frames are taken.
    Active,
    /// It could not be opened, for this reason. It is tried again when the graph changes.
    Failed(String),
    /// A socket is wanted.
    Wanted,
}

/// A capture on a node.
#[derive(Debug)]
pub struct Attachment {
    /// The capture.
    pub capture: Rc<str>,
    /// The node.
    pub node: Id,
    /// Name of the interface.
    pub name: Rc<str>,
    /// How far it has come.
    pub state: State,
    /// Since when it is active.
    pub since: Tick,
    /// Packets that were taken.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Packets that the kernel had to drop.
    pub drops: u64,
    table: Option<TableId>,
}

/// How to open the socket of an attachment.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The attachment.
    pub place: Place,
    /// The node to open it on.
    pub node: Id,
    /// How its frames begin.
    pub link: LinkType,
    /// The filter, which also says how much of each frame is kept.
    pub program: Program,
    /// Octets kept of each frame.
    pub snaplen: u32,
    /// It is a loopback interface, which each packet passes twice.
    pub loopback: bool,
    /// Frames for other machines are taken too: what `pcap` captures do.
    pub promiscuous: bool,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u16,
    attachment: Option<Attachment>,
}

/// All attachments.
#[derive(Debug, Default)]
pub struct Attachments {
    slots: Vec<Slot>,
    told: Tick,
    /// On how many nodes each capture was active when those who listen were told of it last.
    counts: Vec<(Rc<str>, usize)>,
    /// That may have changed.
    recount: bool,
    /// Nodes that were left out because there were too many.
    pub refused: u64,
}

impl Attachments {
    /// The attachment in a place.
    #[must_use]
    pub fn get(&self, place: Place) -> Option<&Attachment> {
        let slot = self.slots.get(usize::from(place.slot))?;
        slot.attachment.as_ref().filter(|_| slot.generation == place.generation)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &Attachment)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| {
            let place = Place { slot: u16::try_from(at).ok()?, generation: slot.generation };
            Some((place, slot.attachment.as_ref()?))
        })
    }

    /// Whether sockets are wanted that are not open yet.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.iter().any(|(_, attachment)| attachment.state == State::Wanted)
    }

    /// On how many nodes a capture is active.
    #[must_use]
    pub fn active(&self, capture: &str) -> usize {
        let active = |(_, a): &(Place, &Attachment)| &*a.capture == capture && a.is_active();
        self.iter().filter(active).count()
    }

    fn get_mut(&mut self, place: Place) -> Option<&mut Attachment> {
        let slot = self.slots.get_mut(usize::from(place.slot))?;
        slot.attachment.as_mut().filter(|_| slot.generation == place.generation)
    }

    fn add(&mut self, attachment: Attachment) {
        let free = self.slots.iter().position(|slot| slot.attachment.is_none());
        let at = match free {
            Some(at) => at,
            None if self.slots.len() < MAX_ATTACHMENTS => {
                self.slots.push(Slot::default());
                self.slots.len().saturating_sub(1)
            }
            None => {
                self.refused = self.refused.saturating_add(1);
                return;
            }
        };
        if let Some(slot) = self.slots.get_mut(at) {
            // As many bits as a token has for it.
            slot.generation = slot.generation.wrapping_add(1) & 0xfff;
            slot.attachment = Some(attachment);
        }
    }

    fn take(&mut self, place: Place) -> Option<Attachment> {
        self.get(place)?;
        self.recount = true;
        self.slots.get_mut(usize::from(place.slot))?.attachment.take()
    }
}

impl Attachment {
    /// Whether frames are taken.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// The table of its flows.
    pub(super) const fn table(&self) -> Option<TableId> {
        self.table
    }

    /// What the node shows of it.
    fn shown(&self, capture: &Capture) -> Map {
        let error = match &self.state {
            State::Failed(why) => Some(why.as_str()),
            State::Active | State::Wanted => None,
        };
        let state = if error.is_some() { "error" } else { "active" };
        let mut map = Map::new()
            .with("ID", Rc::clone(&self.capture))
            .with("State", state)
            .with("PacketsReceived", self.packets)
            .with("PacketsDropped", self.drops)
            .with("PacketsIfDropped", 0_i64);
        let kind = if capture.kind.is_empty() { "afpacket" } else { &capture.kind };
        for (key, text) in [
            ("Name", capture.name.as_str()),
            ("Description", &capture.description),
            ("BPFFilter", &capture.filter),
            ("Type", kind),
        ] {
            map.put(key, Some(text).filter(|text| !text.is_empty()));
        }
        map.put("Error", error);
        map
    }
}

impl Agent {
    /// Attaches every capture to the nodes that its expression gives now, and lets go of nodes
    /// that are gone.
    pub(super) fn attach(&mut self) {
        self.drop_gone();
        let captures: Vec<Rc<str>> =
            self.orders.resources.captures().map(|(id, _)| Rc::clone(id)).collect();
        let mut changed: Vec<Id> = Vec::new();
        for id in captures {
            let Some(capture) = self.orders.resources.capture(&id) else { continue };
            let query = capture.query.clone();
            let nodes = match self.nodes_of(&query) {
                Ok(nodes) => nodes,
                Err(error) => {
                    log::debug!("capture {id}: {error}");
                    continue;
                }
            };
            for node in nodes {
                if self.attach_to(&id, &node) {
                    changed.push(Rc::clone(&node.id));
                }
            }
        }
        for node in changed {
            self.tell_node(&node);
        }
    }

    /// The nodes that a query gives, paths taken apart; values give none.
    pub(super) fn nodes_of(&self, query: &Query) -> Result<Vec<Rc<Node>>, query::Error> {
        let world = World { graph: &self.graph, flows: &self.captured, now: self.clock() };
        Ok(match query::evaluate(query, &world, LOOK_VISITS)? {
            Answer::Nodes(nodes) | Answer::Graph { nodes, .. } => nodes,
            Answer::Paths(paths) => paths.into_iter().flatten().collect(),
            _ => Vec::new(),
        })
    }

    /// Attaches a capture to a node; `true` if that changed anything.
    fn attach_to(&mut self, id: &Rc<str>, node: &Rc<Node>) -> bool {
        if !CAPTURABLE.contains(&node.kind()) || node.metadata.get("IfIndex").is_none() {
            return false;
        }
        let state = match readiness(node) {
            Ok(()) => State::Wanted,
            Err(why) => State::Failed(why.to_owned()),
        };
        let is_it = |(_, a): &(Place, &Attachment)| a.capture == *id && a.node == node.id;
        let known = self.attachments.iter().find(is_it).map(|(place, _)| place);
        if let Some(place) = known {
            let attachment = self.attachments.get_mut(place);
            return attachment.is_some_and(|known| {
                let again = matches!(known.state, State::Failed(_)) && known.state != state;
                if again {
                    known.state = state;
                }
                again
            });
        }
        let Some(capture) = self.orders.resources.capture(id) else { return false };
        self.exports.begin(id, capture.target, self.clock().wall);
        self.attachments.add(Attachment {
            capture: Rc::clone(id),
            node: Rc::clone(&node.id),
            name: node.name().into(),
            state,
            since: self.clock().tick,
            packets: 0,
            bytes: 0,
            drops: 0,
            table: None,
        });
        true
    }

    /// Starts a capture on the interface of that name, in whichever namespace it is.
    pub(super) fn capture_start(&mut self, dev: &str, filter: &str) -> Result<Reply, Failure> {
        if dev.contains(['\'', '\\']) {
            return Err(Failure::BadArgument { name: "dev", expected: "the name of an interface" });
        }
        let expression = format!("G.V().Has('Name', '{dev}')");
        let order = serde_json::json!({ "GremlinQuery": expression, "BPFFilter": filter });
        let made = self.resource_create(Kind::Capture, &order, None)?;
        let id = match &made {
            Reply::Value(Value::Map(map)) => map.text("UUID").unwrap_or("").to_owned(),
            _ => String::new(),
        };
        Ok(Reply::Rows(Cursor::ready(self.capture_rows(Some(&id)), Row::default())))
    }

    /// Stops a capture.
    pub(super) fn capture_stop(&mut self, id: &str) -> Result<Reply, Failure> {
        let mut rows = self.capture_rows(Some(id));
        self.resource_delete(Kind::Capture, id)?;
        rows.truncate(1);
        let stopped = rows.into_iter().map(|row| {
            let fields = row.into_fields();
            fields
                .map(|(name, value)| match &*name {
                    "state" => (name, "stopped".into()),
                    _ => (name, value),
                })
                .collect()
        });
        Ok(Reply::Rows(Cursor::ready(stopped.collect(), Row::default())))
    }

    /// All captures, a row for each node.
    pub(super) fn list_captures(&self, page: Page) -> Reply {
        let skip = usize::try_from(page.after).unwrap_or(usize::MAX);
        let rows = self.capture_rows(None);
        let all = rows.len();
        let rows: VecDeque<Row> = rows.into_iter().skip(skip).take(page.rows).collect();
        let shown = skip.saturating_add(rows.len());
        let mut cursor = Cursor::ready(rows, Row::default());
        cursor.next = (shown < all).then_some(shown as u64);
        Reply::Rows(cursor)
    }

    fn capture_rows(&self, wanted: Option<&str>) -> VecDeque<Row> {
        let mut rows = VecDeque::new();
        for (id, capture) in self.orders.resources.captures() {
            if wanted.is_some_and(|wanted| *wanted != **id) {
                continue;
            }
            let row = |dev: &str, state: String, figures: (u64, u64, u64), since: i64| {
                let (packets, bytes, drops) = figures;
                Row::new()
                    .with("id", id.to_string())
                    .with("dev", dev.to_owned())
                    .with("filter", capture.filter.clone())
                    .with("snaplen", capture.header_size)
                    .with("state", state)
                    .with("pkts", packets)
                    .with("bytes", bytes)
                    .with("drops", drops)
                    .with("clients", 0_u8)
                    .with("since", since)
                    .with("query", capture.expression.clone())
                    .with("name", capture.name.clone())
            };
            let before = rows.len();
            for (_, attached) in self.attachments.iter().filter(|(_, a)| a.capture == *id) {
                let state = match &attached.state {
                    State::Active => "active".to_owned(),
                    State::Failed(why) => format!("error: {why}"),
                    State::Wanted => "starting".to_owned(),
                };
                let figures = (attached.packets, attached.bytes, attached.drops);
                let since = self.wall_secs(attached.since);
                rows.push_back(row(&attached.name, state, figures, since));
            }
            if rows.len() == before {
                rows.push_back(row("", "waiting".to_owned(), (0, 0, 0), 0));
            }
        }
        rows
    }

    /// Tells those who listen that a capture came or went, or is active on more nodes or fewer.
    pub(super) fn tell_capture(&mut self, kind: &'static str, id: &str) {
        if let Some(known) = self.orders.resources.get(Kind::Capture, id)
            && self.feed.wants(CAPTURE)
        {
            let mut json = Vec::new();
            self.resource_shown(known).write(&mut json);
            self.feed.publish(Message::Capture { kind, json: json.into() });
        }
    }

    /// A filter that leaves out what this agent says itself.
    fn own_traffic(&self) -> String {
        let settings = self.settings();
        let doors = settings.http.iter().map(|address| (address.ip(), "tcp", address.port()));
        let management = (settings.management_address, "udp", settings.management_port);
        let doors = doors.chain(std::iter::once(management));
        let targets = self.orders.resources.captures().map(|(_, capture)| capture.target);
        let targets = targets.filter_map(|target| match target {
            Target::Erspan(to) => Some(format!("(proto 47 and dst host {})", to.ip())),
            Target::Netflow(to) => {
                Some(format!("(dst host {} and udp port {})", to.ip(), to.port()))
            }
            Target::Local => None,
        });
        // Of an address that stands for all of them nothing is known that others don't have.
        let doors = doors.filter(|(ip, _, port)| !ip.is_unspecified() && *port != 0);
        let said: Vec<String> = doors
            .map(|(ip, protocol, port)| format!("(host {ip} and {protocol} port {port})"))
            .chain(targets)
            .collect();
        if said.is_empty() { String::new() } else { format!("not ({})", said.join(" or ")) }
    }

    /// Ends what a capture has attached; its flows are told as ended.
    pub(super) fn detach(&mut self, id: &str) {
        let over = |(_, a): &(Place, &Attachment)| &*a.capture == id;
        let places: Vec<Place> =
            self.attachments.iter().filter(over).map(|(place, _)| place).collect();
        for place in places {
            self.end_attachment(place);
        }
        self.exports.end(id, self.clock().wall);
    }

    /// The sockets that should be opened.
    #[must_use]
    pub fn wanted_sockets(&self) -> Vec<Result<Wanted, (Place, String)>> {
        let wanted = self.attachments.iter().filter(|(_, a)| a.state == State::Wanted);
        wanted
            .filter_map(|(place, attachment)| {
                let capture = self.orders.resources.capture(&attachment.capture)?;
                let node = self.graph.node(&attachment.node)?;
                Some(self.wanted(place, capture, node).map_err(|why| (place, why)))
            })
            .collect()
    }

    fn wanted(&self, place: Place, capture: &Capture, node: &Node) -> Result<Wanted, String> {
        let link = link_of(node);
        let snaplen = capture.header_size;
        let options = filter::Options { accept: snaplen, live: true, names: &*self.tables };
        let own = self.own_traffic();
        let text = match (own.as_str(), capture.filter.trim()) {
            ("", filter) => filter.to_owned(),
            (own, "") => own.to_owned(),
            (own, filter) => format!("{own} and ({filter})"),
        };
        // What the link cannot tell of our own traffic must not stop the user's filter.
        let program = filter::compile(&text, link, &options)
            .or_else(|_| filter::compile(&capture.filter, link, &options))
            .map_err(|error| format!("BPFFilter: {error}"))?;
        let loopback = node.metadata.text("EncapType") == Some("loopback");
        let promiscuous = capture.kind == "pcap" && !loopback;
        let node = Rc::clone(&node.id);
        Ok(Wanted { place, node, link, program, snaplen, loopback, promiscuous })
    }

    /// The socket of an attachment is open; `false` if it is not wanted any more.
    pub fn socket_opened(&mut self, place: Place) -> bool {
        let settings = self.attachments.get(place).and_then(|attachment| {
            let capture = self.orders.resources.capture(&attachment.capture)?;
            let node = self.graph.node(&attachment.node)?;
            Some(table_settings(attachment, capture, node, &*self.tables))
        });
        let now = self.clock().tick;
        let Some(settings) = settings else { return false };
        let Some(table) = self.captured.open(settings) else {
            self.socket_failed(place, "too many captures on too many nodes".to_owned());
            return false;
        };
        let Some(attachment) = self.attachments.get_mut(place) else { return false };
        attachment.table = Some(table);
        attachment.state = State::Active;
        attachment.since = now;
        let node = Rc::clone(&attachment.node);
        self.attachments.recount = true;
        self.tell_node(&node);
        true
    }

    /// The socket of an attachment could not be opened, or broke.
    pub fn socket_failed(&mut self, place: Place, why: String) {
        self.close_table(place);
        if let Some(attachment) = self.attachments.get_mut(place) {
            attachment.state = State::Failed(why);
            let node = Rc::clone(&attachment.node);
            self.attachments.recount = true;
            self.tell_node(&node);
        }
    }

    /// Counters of the socket of an attachment: packets that the kernel dropped in all.
    pub fn socket_drops(&mut self, place: Place, drops: u64) {
        if let Some(attachment) = self.attachments.get_mut(place) {
            attachment.drops = drops;
        }
    }

    /// Takes the frames of an attachment, in their order.
    pub fn captured_frames(&mut self, place: Place, frames: &[Frame<'_>]) {
        let clock = self.clock();
        let Some(attachment) = self.attachments.get_mut(place) else { return };
        let bytes = frames.iter().map(|frame| u64::from(frame.wire_len));
        attachment.bytes = bytes.fold(attachment.bytes, u64::saturating_add);
        attachment.packets = attachment.packets.saturating_add(frames.len() as u64);
        if self.exports.mirror(&attachment.capture, frames) {
            return;
        }
        let Some(table) = attachment.table else { return };
        let mut news = News::new(&mut self.flow_news, &mut self.exports, clock.wall);
        self.captured.frames(table, frames, &clock, &mut news);
    }

    /// Publishes the counters of captures on their nodes, where they have changed.
    pub(super) fn tell_captures(&mut self, now: Tick) {
        if std::mem::take(&mut self.attachments.recount) {
            self.tell_counts();
        }
        if now.since(self.attachments.told) < TELL_EVERY {
            return;
        }
        self.attachments.told = now;
        let mut nodes: Vec<Id> = self.attachments.iter().map(|(_, a)| Rc::clone(&a.node)).collect();
        nodes.sort_unstable();
        nodes.dedup();
        for node in nodes {
            self.tell_node(&node);
        }
    }

    /// Tells of captures that are active on more nodes than before, or on fewer.
    fn tell_counts(&mut self) {
        let captures = self.orders.resources.captures();
        let counts: Vec<(Rc<str>, usize)> =
            captures.map(|(id, _)| (Rc::clone(id), self.attachments.active(id))).collect();
        let before = std::mem::replace(&mut self.attachments.counts, counts.clone());
        for (id, count) in counts {
            let known = before.iter().find(|(known, _)| *known == id);
            if known.map_or(0, |(_, count)| *count) != count {
                self.tell_capture("NodeUpdated", &id);
            }
        }
    }

    /// Brings the list of captures that a node shows up to date.
    fn tell_node(&mut self, node: &str) {
        let shown: Vec<Value> = self
            .attachments
            .iter()
            .filter(|(_, attachment)| &*attachment.node == node)
            .filter_map(|(_, attachment)| {
                let capture = self.orders.resources.capture(&attachment.capture)?;
                Some(attachment.shown(capture).into())
            })
            .collect();
        let now = self.now();
        let shown = Some(Value::from(shown)).filter(|list| !list.items().is_empty());
        // A node that is full keeps the list it has.
        let _ = self.graph.update_node(node, now, |metadata| {
            metadata.put("Captures", shown);
        });
    }

    fn drop_gone(&mut self) {
        let gone = |(_, a): &(Place, &Attachment)| self.graph.node(&a.node).is_none();
        let places: Vec<Place> =
            self.attachments.iter().filter(gone).map(|(place, _)| place).collect();
        for place in places {
            self.end_attachment(place);
        }
    }

    fn end_attachment(&mut self, place: Place) {
        self.close_table(place);
        if let Some(gone) = self.attachments.take(place) {
            self.tell_node(&gone.node);
        }
    }

    fn close_table(&mut self, place: Place) {
        let now = self.now();
        let table = self.attachments.get_mut(place).and_then(|a| a.table.take());
        if let Some(table) = table {
            let wall = self.clock().wall;
            let mut news = News::new(&mut self.flow_news, &mut self.exports, wall);
            self.captured.close(table, now, &mut news);
        }
    }
}

/// Whether a socket can be opened on a node, or what it lacks.
fn readiness(node: &Node) -> Result<(), &'static str> {
    let up = |flag: &Value| flag.as_text() == Some("UP");
    if node.tid().is_none() {
        return Err("the node has no TID yet");
    }
    if node.metadata.text("EncapType").is_none() {
        return Err("the node has no EncapType");
    }
    if !node.metadata.any("LinkFlags", &mut |flag| up(flag)) {
        return Err("the interface is down: waiting for it to come up");
    }
    Ok(())
}

/// How frames of a node begin.
fn link_of(node: &Node) -> LinkType {
    match node.metadata.text("EncapType").unwrap_or("") {
        "ether" | "loopback" => LinkType::ETHERNET,
        "sit" | "ipip" => LinkType::IPV4,
        "tunnel6" | "gre6" => LinkType::IPV6,
        _ => LinkType::RAW,
    }
}

/// The capture's filter once more, for datagrams that are put together: what the kernel looked at
/// were their fragments.
fn whole_filter(capture: &Capture, node: &Node, names: &dyn Names) -> Option<Program> {
    if !capture.defrag || capture.filter.trim().is_empty() {
        return None;
    }
    let options = filter::Options { accept: capture.header_size, live: true, names };
    // The socket has the same filter: one that cannot be compiled has failed there.
    filter::compile(&capture.filter, link_of(node), &options).ok()
}

fn table_settings(
    attachment: &Attachment,
    capture: &Capture,
    node: &Node,
    names: &dyn Names,
) -> Settings {
    Settings {
        capture: Rc::clone(&attachment.capture),
        capture_name: capture.name.as_str().into(),
        node_tid: node.tid().unwrap_or("").into(),
        layer3: capture.layer3,
        raw_limit: capture.raw_limit,
        extra_tcp: capture.extra_tcp,
        defrag: capture.defrag,
        reassemble: capture.reassemble,
        extra_layers: capture.extra_layers,
        away: capture.target != Target::Local,
        filter: whole_filter(capture, node, names),
    }
}
