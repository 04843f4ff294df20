//! What clients order and take back: the commands on resources, on nodes and edges of the graph,
//! and how all of it survives a restart.

use std::rc::Rc;

use serde_json::Value as Json;

use crate::topology::graph::{self, Edge, Element, Id, Node};
use crate::topology::value::{Map, Value};
use crate::wire::uuid::Uuid;

use super::Agent;
use super::agent::Reply;
use super::command::Failure;
use super::resources::members::Members;
use super::resources::rule::{check_edge, check_node};
use super::resources::{Body, FILE, Kind, Refused, Resource, Resources, patch};

/// Milliseconds after a change until it is saved: several changes are saved together.
const SAVE_AFTER: i64 = 1_000;

/// Milliseconds between two looks at the graph on behalf of captures, rules and alerts.
const LOOK_EVERY: i64 = 1_000;

/// What clients ordered, and what of it is under way.
#[derive(Debug, Default)]
pub struct Orders {
    /// What they asked for.
    pub resources: Resources,
    /// The revision of the graph that was looked at last.
    seen: u64,
    looked: i64,
    /// Look at the graph at the next occasion even if it has not changed.
    pub(super) stale: bool,
    save_at: Option<i64>,
}

impl Agent {
    /// Makes a resource.
    pub(super) fn resource_create(
        &mut self,
        kind: Kind,
        json: &Json,
        ttl: Option<i64>,
    ) -> Result<Reply, Failure> {
        match kind {
            Kind::Node => return self.node_create(json),
            Kind::Edge => return self.edge_create(json),
            _ => {}
        }
        let body = Body::parse(kind, json, &*self.tables).map_err(Failure::Invalid)?;
        let id = self.new_id();
        let now = self.now();
        let expires = ttl.map(|ttl| now.saturating_add(ttl));
        let resource = Resource { id: Rc::clone(&id), body, created: now, expires };
        let shown = resource.members();
        if let Body::Injection(injection) = &resource.body {
            // What cannot be sent is not kept, and what cannot be kept is not sent.
            if self.orders.resources.is_full(kind) {
                return Err(Failure::Limit);
            }
            self.inject(injection)?;
        }
        self.orders.resources.add(resource).map_err(|refused| match refused {
            Refused::Duplicate => Failure::Duplicate,
            Refused::Full => Failure::Limit,
        })?;
        self.orders.stale = true;
        self.look_around();
        if kind == Kind::Capture {
            self.tell_capture("Added", &id);
        }
        Ok(Reply::Value(shown.into()))
    }

    /// The resources of a kind, by id.
    pub(super) fn resource_list(&self, kind: Kind) -> Reply {
        let mut all = Map::new();
        match kind {
            Kind::Node => {
                for node in self.graph.nodes() {
                    all.set(node.id.to_string(), shown(|out| node.write(out)));
                }
            }
            Kind::Edge => {
                for edge in self.graph.edges() {
                    all.set(edge.element.id.to_string(), shown(|out| edge.write(out)));
                }
            }
            _ => {
                for resource in self.orders.resources.of(kind) {
                    all.set(resource.id.to_string(), self.resource_shown(resource));
                }
            }
        }
        Reply::Value(all.into())
    }

    /// One resource.
    pub(super) fn resource_get(&self, kind: Kind, id: &str) -> Result<Reply, Failure> {
        let value = match kind {
            Kind::Node => self.graph.node(id).map(|node| shown(|out| node.write(out))),
            Kind::Edge => self.graph.edge(id).map(|edge| shown(|out| edge.write(out))),
            _ => self.orders.resources.get(kind, id).map(|known| self.resource_shown(known).into()),
        };
        value.map(Reply::Value).ok_or(Failure::NotFound)
    }

    /// Takes a resource back, with all that it brought about.
    pub(super) fn resource_delete(&mut self, kind: Kind, id: &str) -> Result<Reply, Failure> {
        let now = self.now();
        match kind {
            Kind::Node => {
                self.graph.node(id).ok_or(Failure::NotFound)?;
                self.graph.remove_node(id, now);
                self.orders.resources.unsaved = true;
            }
            Kind::Edge => {
                self.graph.edge(id).ok_or(Failure::NotFound)?;
                self.graph.remove_edge(id, now);
                self.orders.resources.unsaved = true;
            }
            _ => {
                if kind == Kind::Capture && self.orders.resources.get(kind, id).is_some() {
                    self.tell_capture("Deleted", id);
                }
                let gone = self.orders.resources.remove(kind, id).ok_or(Failure::NotFound)?;
                self.retire(&gone);
            }
        }
        self.schedule_save();
        Ok(Reply::Value(Value::Null))
    }

    /// Changes the metadata of a node or an edge by a JSON patch.
    pub(super) fn resource_patch(
        &mut self,
        kind: Kind,
        id: &str,
        patch: &Json,
    ) -> Result<Reply, Failure> {
        let text = match kind {
            Kind::Node => self.graph.node(id).map(|node| bytes(|out| node.write(out))),
            Kind::Edge => self.graph.edge(id).map(|edge| bytes(|out| edge.write(out))),
            _ => {
                self.orders.resources.get(kind, id).ok_or(Failure::NotFound)?;
                let text =
                    format!("{}: can not be changed, delete it and make another", kind.title());
                return Err(Failure::Invalid(text));
            }
        };
        let before: Json =
            text.and_then(|text| serde_json::from_slice(&text).ok()).ok_or(Failure::NotFound)?;
        let after = patch::apply(&before, patch).map_err(Failure::Invalid)?;
        let metadata = |json: &Json| Members::of(json).and_then(|members| members.map("Metadata"));
        let mut metadata = metadata(&after).map_err(Failure::Invalid)?;
        let old = match kind {
            Kind::Node => self.graph.node(id).map(|node| node.metadata.clone()),
            _ => self.graph.edge(id).map(|edge| edge.element.metadata.clone()),
        };
        let kept: &[&'static str] = match kind {
            Kind::Node => &["TID", "Name", "Type"],
            _ => &["RelationType"],
        };
        for key in kept {
            metadata.put(*key, old.as_ref().and_then(|old| old.get(key)).cloned());
        }
        let now = self.now();
        let changed = match kind {
            Kind::Node => self.graph.update_node(id, now, |old| *old = metadata),
            _ => self.graph.update_edge(id, now, |old| *old = metadata),
        };
        changed.map_err(of_graph)?;
        self.orders.resources.unsaved = true;
        self.schedule_save();
        self.resource_get(kind, id)
    }

    /// Looks at the graph on behalf of captures, rules and alerts, if it has changed and the last
    /// look is long enough ago. Call it once a turn.
    pub(super) fn look_around(&mut self) {
        let now = self.now();
        self.expire_resources(now);
        let changed = self.graph.revision() != self.orders.seen;
        // A clock that was set back must not stop this.
        let waited = now.saturating_sub(self.orders.looked);
        let due = changed && !(0..LOOK_EVERY).contains(&waited);
        if self.orders.stale || due {
            self.orders.stale = false;
            self.orders.looked = now;
            self.apply_rules();
            self.attach();
            self.check_alerts(true);
            // What was changed just now is no news.
            self.orders.seen = self.graph.revision();
        } else {
            self.check_alerts(false);
        }
        if self.orders.save_at.is_some_and(|at| at <= now) {
            self.save_orders();
        }
    }

    /// Milliseconds until [`Self::look_around`] has something to do; `None` if it has not.
    pub(super) fn look_in(&self) -> Option<u64> {
        let now = self.now();
        let orders = &self.orders;
        let changed = self.graph.revision() != orders.seen && !orders.resources.is_empty();
        let look = changed.then(|| orders.looked.saturating_add(LOOK_EVERY));
        let expiry = orders.resources.next_expiry();
        let next = [look, orders.save_at, expiry, self.next_alert()];
        next.into_iter()
            .flatten()
            .min()
            .map(|at| u64::try_from(at.saturating_sub(now)).unwrap_or(0))
    }

    /// Notes that what clients ordered should be saved soon.
    pub(super) fn schedule_save(&mut self) {
        if self.orders.resources.unsaved && self.orders.save_at.is_none() {
            self.orders.save_at = Some(self.now().saturating_add(SAVE_AFTER));
        }
    }

    /// Saves what clients ordered, if that is not saved yet.
    pub fn save_orders(&mut self) {
        self.orders.save_at = None;
        if !self.orders.resources.unsaved {
            return;
        }
        self.orders.resources.unsaved = false;
        let origin = self.api_origin();
        let nodes = self.graph.nodes().filter(|node| node.origin == origin);
        let edges = self.graph.edges().filter(|edge| edge.element.origin == origin);
        let nodes = nodes.map(|node| (Kind::Node, bytes(|out| node.write(out))));
        let elements: Vec<(Kind, Vec<u8>)> =
            nodes.chain(edges.map(|edge| (Kind::Edge, bytes(|out| edge.write(out))))).collect();
        let text = self.orders.resources.save(&elements);
        if let Err(why) = self.host.save(FILE, &text) {
            self.counters.persist_errors = self.counters.persist_errors.saturating_add(1);
            log::warn!("captures, alerts and rules are not saved: {why}");
        }
    }

    /// Reads what clients ordered before the last restart; a line for each thing that is not
    /// taken over. A damaged file is kept aside.
    pub fn load_orders(&mut self) -> Vec<String> {
        let text = match self.host.load(FILE) {
            Ok(Some(text)) => text,
            Ok(None) => return Vec::new(),
            Err(why) => return Vec::from([why]),
        };
        let mut resources = Resources::default();
        let loaded = match resources.load(&text, &*self.tables) {
            Ok(loaded) => loaded,
            Err(why) => {
                let aside = format!("{FILE}.bad");
                let moved = self.host.rename(FILE, &aside);
                let told = moved.map_or_else(|why| why, |()| format!("kept as {aside}"));
                return Vec::from([format!("{FILE}: {why}; {told}")]);
            }
        };
        self.orders.resources = resources;
        self.orders.stale = true;
        let mut problems = loaded.problems;
        for (kind, json) in loaded.elements {
            let made = match kind {
                Kind::Node => self.node_create(&json),
                _ => self.edge_create(&json),
            };
            problems.extend(made.err().map(|why| format!("{}: {why}", kind.name())));
        }
        self.orders.resources.unsaved = false;
        self.orders.save_at = None;
        problems
    }

    /// Makes the capture that the settings ask for, unless it is there from before.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn start_up(&mut self) -> Result<(), Failure> {
        let settings = self.settings();
        if settings.startup_query.is_empty() {
            return Ok(());
        }
        let order = serde_json::json!({
            "GremlinQuery": settings.startup_query,
            "BPFFilter": settings.startup_filter,
            "Type": settings.startup_type,
        });
        match self.resource_create(Kind::Capture, &order, None) {
            Ok(_) | Err(Failure::Duplicate) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Milliseconds since 1970, as nodes and edges tell the time.
    pub(super) fn now(&self) -> i64 {
        self.clock().wall.millis()
    }

    /// A new random id.
    pub(super) fn new_id(&mut self) -> Id {
        let mut bytes = [0; 16];
        self.host.random(&mut bytes);
        Uuid::random(bytes).to_string().into()
    }

    /// Who makes nodes by the API.
    pub(super) fn api_origin(&self) -> Rc<str> {
        format!("api.{}", self.facts.hostname).into()
    }

    fn expire_resources(&mut self, now: i64) {
        if self.orders.resources.next_expiry().is_some_and(|at| at <= now) {
            for (kind, id) in self.orders.resources.expired(now) {
                let _ = self.resource_delete(kind, &id);
            }
        }
    }

    /// The members of a resource as they are shown.
    pub(super) fn resource_shown(&self, resource: &Resource) -> Map {
        let mut members = resource.members();
        if let Body::Capture(_) = &resource.body {
            members.set("Count", self.attachments.active(&resource.id) as u64);
        }
        members
    }

    /// Undoes what a resource brought about.
    fn retire(&mut self, gone: &Resource) {
        match &gone.body {
            Body::Capture(_) => self.detach(&gone.id),
            Body::NodeRule(rule) => self.undo_node_rule(&gone.id, rule),
            Body::EdgeRule(_) => self.undo_edge_rule(&gone.id),
            Body::Alert(_) => self.forget_alert(&gone.id),
            Body::Injection(_) => {}
        }
    }

    fn node_create(&mut self, json: &Json) -> Result<Reply, Failure> {
        let origin = self.api_origin();
        let element = self.element(json, &origin).map_err(Failure::Invalid)?;
        check_node(&element.metadata).map_err(Failure::Invalid)?;
        if self.graph.node(&element.id).is_some() {
            return Err(Failure::Duplicate);
        }
        let id = Rc::clone(&element.id);
        self.graph.add_node(element).map_err(of_graph)?;
        self.orders.resources.unsaved = true;
        self.schedule_save();
        self.resource_get(Kind::Node, &id)
    }

    fn edge_create(&mut self, json: &Json) -> Result<Reply, Failure> {
        let origin = self.api_origin();
        let edge = self.edge(json, &origin).map_err(Failure::Invalid)?;
        if self.graph.edge(&edge.element.id).is_some() {
            return Err(Failure::Duplicate);
        }
        let id = Rc::clone(&edge.element.id);
        self.graph.add_edge(edge).map_err(of_graph)?;
        self.orders.resources.unsaved = true;
        self.schedule_save();
        self.resource_get(Kind::Edge, &id)
    }

    /// Reads an edge that a client made.
    ///
    /// # Errors
    /// The member and what is wrong with it.
    pub(super) fn edge(&self, json: &Json, origin: &Rc<str>) -> Result<Edge, String> {
        let members = &Members::of(json)?;
        let element = self.element(json, origin)?;
        let end = |name: &str| match members.text(name)? {
            id if id.is_empty() => Err(format!("{name}: is missing")),
            id => Ok(Id::from(id)),
        };
        check_edge(&element.metadata)?;
        Ok(Edge { parent: end("Parent")?, child: end("Child")?, element })
    }

    /// Reads what nodes and edges share.
    ///
    /// # Errors
    /// The member and what is wrong with it.
    pub(super) fn element(&self, json: &Json, origin: &Rc<str>) -> Result<Element, String> {
        let members = &Members::of(json)?;
        let id: Id = match members.text("ID")? {
            id if id.is_empty() => return Err("ID: is missing".to_owned()),
            id if id.len() > MAX_ID => return Err(format!("ID: longer than {MAX_ID} octets")),
            id => id.into(),
        };
        let now = self.now();
        let text = |name: &str, usual: &str| match members.text(name) {
            Ok(text) if text.is_empty() => Ok(Rc::from(usual)),
            Ok(text) => Ok(Rc::from(text)),
            Err(why) => Err(why),
        };
        let time = |name: &str| match members.int(name) {
            Ok(0) => Ok(now),
            other => other,
        };
        Ok(Node {
            id,
            metadata: members.map("Metadata")?,
            host: text("Host", &self.facts.hostname)?,
            origin: text("Origin", origin)?,
            created: time("CreatedAt")?,
            updated: time("UpdatedAt")?,
            deleted: None,
            revision: members.int("Revision")?.max(1).unsigned_abs(),
        })
    }
}

/// The longest id of a node or an edge.
const MAX_ID: usize = 256;

/// Why the graph refused, as a failure of a command.
pub(super) fn of_graph(refused: graph::Refused) -> Failure {
    match refused {
        graph::Refused::Full => Failure::Limit,
        graph::Refused::NoEnd => {
            Failure::Invalid("Parent and Child must be nodes that are there".to_owned())
        }
    }
}

fn bytes(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// What a writer writes, as a value to be shown among others.
fn shown(write: impl FnOnce(&mut Vec<u8>)) -> Value {
    let json = serde_json::from_slice(&bytes(write)).unwrap_or_default();
    Value::of_json(&json)
}
