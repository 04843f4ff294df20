//! How telemetry gets from where flows are told to whoever subscribed.

use std::rc::Rc;

use crate::topology::links::Role;

use super::super::agent::Agent;
use super::super::bus::{Event, Topic};
use super::super::labelled::Labelled;
use super::privacy::Privacy;
use super::{Place, Report, Telemetry};

/// Flows that end, or are looked at, in one turn while somebody wants to be told of them: each may
/// take three records, and those who keep up must not lose any.
const SLICE: usize = 40;

impl Telemetry {
    /// How many flows one turn looks at.
    #[must_use]
    pub fn slice(&self, most: usize) -> usize {
        if self.is_wanted() { most.min(SLICE) } else { most }
    }
}

impl Agent {
    /// Begins with telemetry, or ends it, as subscribers come and go.
    pub fn want_telemetry(&mut self) {
        let wanted = self.bus.wants(Topic::Telemetry);
        if wanted == self.telemetry.is_wanted() {
            return;
        }
        self.telemetry.set_wanted(wanted, self.clock.tick);
        if wanted {
            // Figures of an interval begin here.
            self.interface_reports();
        }
    }

    /// Hands what there is to tell to whoever wants it.
    pub(in crate::core) fn tell_telemetry(&mut self) {
        if self.telemetry.is_wanted() {
            let reports = self.telemetry.take();
            self.publish_reports(reports);
        }
    }

    pub(super) fn publish_reports(&mut self, reports: Vec<Report>) {
        // The bus asks filters, and they ask the agent.
        let mut bus = std::mem::take(&mut self.bus);
        for report in reports {
            let event = Event::Telemetry(Rc::new(report));
            bus.publish_where(&event, &|expression| {
                let told = event.flow();
                told.is_some_and(|told| expression.matches(&self.asked(&told.record, &told.what)))
            });
        }
        self.bus = bus;
    }

    /// A flow that is there already, for somebody who has just come.
    pub fn established(&mut self, told: &Labelled) -> Option<Report> {
        let id = told.record.id;
        let flow = self.engine.flows.get(id)?;
        self.telemetry.established(flow, id, &told.what)
    }

    /// Takes in how interfaces are called and which of their addresses are masked, and tells that
    /// something changed.
    pub(in crate::core) fn name_places(&mut self) {
        let links = &self.links;
        let external: Vec<_> = links
            .iter()
            .filter(|(slot, _)| links.role(*slot) == Role::Wan)
            .flat_map(|(_, link)| link.addresses.iter().map(|address| address.ip))
            .collect();
        self.telemetry.set_places(links.slots_and_links().map(|(slot, link)| {
            let is_internal = links.role(slot) == Role::Lan;
            (slot, Place { name: (*link.name).into(), is_internal })
        }));
        self.telemetry.privacy.set_external(external);
        if self.telemetry.is_wanted() {
            let interfaces = Report::Interfaces(self.monitored());
            self.publish_reports(vec![interfaces]);
        }
    }

    /// Takes in what the settings say is not told.
    pub(in crate::core) fn set_privacy(&mut self) {
        let settings = self.settings();
        let rewrites = settings.rewrites();
        self.telemetry.privacy = Privacy::new(
            &settings.privacy_macs,
            &settings.privacy_hosts,
            &rewrites,
            settings.privacy_external,
        );
    }
}
