//! Sessions as front-ends deal with them: an order is looked up and begun, sessions are listed
//! and ended.

use crate::core::agent::{Agent, Reply};
use crate::core::auth::{Caller, Right};
use crate::core::command::{Failure, Page};
use crate::core::listing::Cursor;
use crate::core::row::{Row, Value};

use super::parameters::{Wish, bad};
use super::{End, Ending, Format, Recording, Refused, Session, SessionId, State, Target, Why};

impl SessionId {
    /// As people and programs spell it.
    #[must_use]
    pub fn number(self) -> u64 {
        u64::from(self.generation) << 8 | u64::from(self.slot & 0xff)
    }

    /// Reads what [`Self::number`] gave.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        let generation = u16::try_from(number >> 8).ok()?;
        Some(Self { slot: u16::try_from(number & 0xff).ok()?, generation })
    }
}

impl Agent {
    /// Looks up what an order means and begins it, for `by`.
    ///
    /// # Errors
    /// Why not, for whoever asked.
    pub fn order_packets(
        &mut self,
        wish: Wish,
        by: String,
        caller: &Caller,
    ) -> Result<SessionId, Refused> {
        if caller.right < Right::Capture {
            return Err(Refused::new(Why::Denied, "packets need the right 'capture'"));
        }
        let Wish { mut order, selection, .. } = wish;
        self.resolve_packets(&selection, &mut order)?;
        order.by = by;
        if let Some(recording) = &mut order.recording {
            let settings = self.settings();
            let Some(folder) = &settings.packet_dir else {
                return Err(bad("packet_dir is not set: set it to a folder for recordings"));
            };
            recording.folder = folder.display().to_string();
            recording.most = u64::from(settings.packet_file_kib).saturating_mul(1_024);
            let most = settings.packet_files;
            recording.files = Some(recording.files.unwrap_or(most).min(most));
        }
        let recording = order.recording.clone();
        let id = self.watch_packets(order, caller)?;
        if let Some(Recording { folder, name, .. }) = recording
            && let Err(reason) = self.host.create(&folder, &name)
        {
            self.packets.close(id);
            return Err(Refused::new(Why::System, format!("{folder}/{name}: {reason}")));
        }
        Ok(id)
    }

    /// All sessions, one row each.
    pub(in crate::core) fn list_sessions(&self, page: Page) -> Reply {
        let mut ids: Vec<(u64, SessionId)> =
            self.packets.iter().map(|(id, _)| (id.number(), id)).collect();
        ids.sort_unstable_by_key(|(number, _)| *number);
        let mut rest = ids.into_iter().filter(|(number, _)| *number > page.after);
        let shown: Vec<(u64, SessionId)> = rest.by_ref().take(page.rows).collect();
        let next = rest.next().and_then(|_| shown.last()).map(|(number, _)| *number);
        let rows = shown.iter().filter_map(|(_, id)| Some(row(*id, self.packets.get(*id)?)));
        let mut cursor = Cursor::ready(rows.collect(), Row::default());
        cursor.next = next;
        Reply::Rows(cursor)
    }

    /// Ends a session before its time.
    pub(in crate::core) fn stop_session(&mut self, id: u64) -> Result<Reply, Failure> {
        let found = SessionId::from_number(id).filter(|id| self.packets.get(*id).is_some());
        let found = found.ok_or(Failure::NotFound)?;
        let clock = self.clock();
        self.packets.end(found, End::new(Ending::Stopped, "stopped"), &clock);
        Ok(Reply::Row(Row::new().with("id", id)))
    }

    /// Begins a session that goes into files.
    ///
    /// # Errors
    /// Why not.
    pub fn record_packets(&mut self, wish: Wish, caller: &Caller) -> Result<Row, Failure> {
        let id = self.order_packets(wish, "a file".to_owned(), caller).map_err(failure)?;
        let file = self.packets.get(id).and_then(|session| session.order().recording.as_ref());
        let file = file.map_or_else(String::new, |file| format!("{}/{}", file.folder, file.name));
        Ok(Row::new().with("id", id.number()).with("file", file))
    }

    /// Ends every session: the process is about to leave.
    pub(in crate::core) fn end_sessions(&mut self) {
        let all: Vec<SessionId> = self.packets.iter().map(|(id, _)| id).collect();
        let clock = self.clock();
        for id in all {
            self.packets.end(id, End::new(Ending::Stopped, "the agent leaves"), &clock);
        }
    }
}

/// A refusal as a failure of a command.
#[must_use]
pub fn failure(refused: Refused) -> Failure {
    match refused.why {
        Why::Denied => Failure::Denied,
        Why::NotFound | Why::Bad | Why::Busy | Why::Stale | Why::System => {
            Failure::Invalid(refused.text)
        }
    }
}

fn row(id: SessionId, session: &Session) -> Row {
    let order = session.order();
    let (packets, octets, drops) = session.figures();
    let targets: Vec<String> = order.targets.iter().map(named).collect();
    let devices: Vec<String> =
        session.ports().iter().filter(|port| !port.gone).map(|port| port.name.clone()).collect();
    let state = match session.state() {
        State::Open => "open".to_owned(),
        State::Opening => "opening".to_owned(),
        State::Over(end) => format!("over: {}", end.reason),
        State::Refused(refused) => format!("refused: {refused}"),
    };
    let mut row = Row::new()
        .with("id", id.number())
        .with("targets", targets.join(" "))
        .with("devs", devices.join(" "))
        .with("filter", order.filter.clone())
        .with("state", state)
        .with("pkts", packets)
        .with("bytes", octets)
        .with("drops", drops)
        .with("by", order.by.clone())
        .with("since", session.since().wall.secs())
        .with("format", if order.format == Format::Pcap { "pcap" } else { "pcapng" });
    if let Some(file) = &order.recording {
        row.push("file", Value::from(format!("{}/{}", file.folder, file.name)));
    }
    row
}

/// What a target is called in a list.
fn named(target: &Target) -> String {
    if !target.name.is_empty() {
        target.name.clone()
    } else if target.netns > 0 {
        format!("netns:{}", target.netns)
    } else if target.pid > 0 {
        format!("pid:{}", target.pid)
    } else {
        "here".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number_and_back() {
        for id in [SessionId { slot: 0, generation: 1 }, SessionId { slot: 63, generation: 4_095 }]
        {
            assert_eq!(SessionId::from_number(id.number()), Some(id));
        }
        assert_eq!(SessionId::from_number(u64::MAX), None);
    }
}
