//! The commands on address groups, and how groups get to flash and back. The state directory is
//! reached through [`Host`](super::agent::Host) alone, with names made here.

use std::borrow::Cow;

use crate::group::file::{self, Content};
use crate::group::{Entry, Store, store};

use super::Agent;
use super::agent::{Cursor, Item, Reply};
use super::command::{Failure, Page};
use super::row::{Row, Value};

/// Addresses that one lookup may ask for.
pub const MAX_LOOKUP: usize = 4_096;

/// Names of groups that the answer of one lookup may hold: it goes out in one piece.
pub const MAX_MATCHES: usize = 4_096;

/// Files that are looked at when the groups are read, and problems that are told.
const MAX_FILES: usize = 1_024;

/// What [`Agent::load_groups`] found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Loaded {
    /// Groups that came from files.
    pub groups: usize,
    /// Their members.
    pub entries: usize,
    /// One line for each file that was not taken, or not wholly: for the log.
    pub problems: Vec<String>,
}

/// Where a listing of members stands.
#[derive(Debug)]
pub(super) struct Members {
    /// The group that is being listed, or the one to begin with.
    group: String,
    /// Its last member that was handed out.
    last: Option<Entry>,
    /// Members to pass over before the first row.
    skip: u64,
    /// Whether the groups after this one follow.
    all: bool,
    /// Rows that may still be handed out.
    left: usize,
    /// How many members were handed out or passed over.
    position: u64,
}

impl Agent {
    /// Reads all groups from the state directory, at start and on reload. Groups that live in
    /// memory alone stay; a group whose file is gone goes; one whose file is unreadable stays as
    /// it is.
    pub fn load_groups(&mut self) -> Loaded {
        let mut loaded = Loaded::default();
        let mut found: Vec<(String, String)> = Vec::new();
        match self.host.list(file::FOLDER) {
            Ok(names) => {
                if names.len() > MAX_FILES {
                    loaded.tell(file::FOLDER, "too many files, the last ones are left out");
                }
                for name in names.into_iter().take(MAX_FILES) {
                    if let Some(group) = file::group_of(&name) {
                        found.push((group.to_owned(), format!("{}/{name}", file::FOLDER)));
                    }
                }
            }
            Err(reason) => {
                loaded.tell(file::FOLDER, &reason);
                return loaded;
            }
        }
        // Of several files of one group the highest number counts, as it does in the folders of
        // the system; the sort is stable and the listing ordered.
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<String> = Vec::new();
        for same in found.chunk_by(|a, b| a.0 == b.0) {
            self.load_best(same, &mut loaded, &mut kept);
        }
        self.load_json(&mut loaded, &mut kept);
        kept.sort_unstable();
        let gone: Vec<String> = self
            .groups
            .iter()
            .filter(|(name, group)| {
                group.file.is_some() && kept.binary_search_by(|k| k.as_str().cmp(name)).is_err()
            })
            .map(|(name, _)| name.to_owned())
            .collect();
        for name in gone {
            self.groups.flush(&name);
        }
        loaded
    }

    pub(super) fn group_add(
        &mut self,
        group: &str,
        entries: &[Option<String>],
    ) -> Result<Reply, Failure> {
        let (parsed, errors) = parse(entries);
        self.groups.add(group, &parsed)?;
        Ok(Reply::Row(counts(entries.len(), errors)))
    }

    pub(super) fn group_remove(
        &mut self,
        group: &str,
        entries: &[Option<String>],
    ) -> Result<Reply, Failure> {
        check(group)?;
        let (parsed, mut errors) = parse(entries);
        for entry in parsed {
            if !self.groups.remove(group, entry) {
                errors = errors.saturating_add(1);
            }
        }
        Ok(Reply::Row(counts(entries.len(), errors)))
    }

    pub(super) fn group_flush(&mut self, group: &str) -> Result<Reply, Failure> {
        check(group)?;
        let files = self.files_of(group)?;
        if self.groups.get(group).is_none() && files.is_empty() {
            return Err(Failure::GroupNotFound);
        }
        for name in files {
            self.host.remove(&name).map_err(|reason| self.storage(reason))?;
        }
        self.groups.flush(group);
        Ok(Reply::Row(Row::default()))
    }

    pub(super) fn group_save(&mut self, group: &str) -> Result<Reply, Failure> {
        check(group)?;
        let known = self.groups.get(group).ok_or(Failure::GroupNotFound)?;
        let name = match &known.file {
            Some(name) if name != file::JSON => name.clone(),
            _ => file::path(group),
        };
        let text = file::write(known.members());
        // Flash wears: the same bytes are not written again.
        let there = self.host.load(&name).ok().flatten();
        if there.as_deref() != Some(text.as_slice()) {
            self.host.save(&name, &text).map_err(|reason| self.storage(reason))?;
        }
        if let Some(known) = self.groups.get_mut(group) {
            known.file = Some(name);
            known.saved = true;
        }
        Ok(Reply::Row(Row::default()))
    }

    pub(super) fn group_load(&mut self, group: &str) -> Result<Reply, Failure> {
        check(group)?;
        let Some(name) = self.files_of(group)?.pop() else {
            let known = self.groups.get(group).is_some();
            return Err(if known { Failure::NothingSaved } else { Failure::GroupNotFound });
        };
        let content = match self.content(&name) {
            Ok(Some(content)) => content,
            Ok(None) => return Err(Failure::NothingSaved),
            Err(reason) => return Err(Failure::Storage(reason)),
        };
        if content.entries.is_empty() {
            return Err(Failure::Storage(format!("{name}: no line is an address")));
        }
        self.groups.replace(group, &content.entries, &name)?;
        Ok(Reply::Row(Row::default()))
    }

    pub(super) fn group_list(&self, group: Option<&str>) -> Result<Reply, Failure> {
        let Some(group) = group else {
            let row = |(name, group): (&str, &store::Group)| {
                Row::new()
                    .with("name", name.to_owned())
                    .with("total", group.len())
                    .with("saved", group.saved)
            };
            return Ok(Reply::Rows(Cursor::ready(
                self.groups.iter().map(row).collect(),
                Row::default(),
            )));
        };
        check(group)?;
        let known = self.groups.get(group).ok_or(Failure::GroupNotFound)?;
        let about = Row::new().with("group", group.to_owned()).with("saved", known.saved);
        let members = Members::of(group, Page { after: 0, rows: usize::MAX });
        Ok(Reply::Rows(Cursor::members(members, about)))
    }

    pub(super) fn group_members(&self, group: Option<&str>, page: Page) -> Result<Reply, Failure> {
        let members = match group {
            Some(group) => {
                check(group)?;
                self.groups.get(group).ok_or(Failure::GroupNotFound)?;
                Members::of(group, page)
            }
            None => Members { all: true, ..Members::of("", page) },
        };
        Ok(Reply::Rows(Cursor::members(members, Row::default())))
    }

    pub(super) fn group_lookup(
        &self,
        group: Option<&str>,
        entries: &[Option<String>],
    ) -> Result<Reply, Failure> {
        if let Some(group) = group {
            check(group)?;
            self.groups.get(group).ok_or(Failure::GroupNotFound)?;
        }
        if entries.len() > MAX_LOOKUP {
            return Err(Failure::Limit);
        }
        let (mut parsed, errors) = parse(entries);
        parsed.sort_unstable();
        parsed.dedup();
        let mut room = MAX_MATCHES;
        let mut matches: Vec<(Cow<'static, str>, Value)> = Vec::with_capacity(parsed.len());
        for entry in parsed {
            let mut names: Vec<&str> = self
                .groups
                .lookup(entry)
                .into_iter()
                .filter_map(|id| self.groups.name(id))
                .filter(|name| group.is_none_or(|group| group == *name))
                .collect();
            names.sort_unstable();
            room = room.checked_sub(names.len()).ok_or(Failure::Limit)?;
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            matches.push((entry.to_string().into(), names.into()));
        }
        let matches: Row = matches.into_iter().collect();
        Ok(Reply::Row(counts(entries.len(), errors).with("matches", matches)))
    }

    /// Takes the file with the highest number that is good; those before it are shadowed.
    fn load_best(
        &mut self,
        files: &[(String, String)],
        loaded: &mut Loaded,
        kept: &mut Vec<String>,
    ) {
        let mut taken: Option<&str> = None;
        for (group, name) in files.iter().rev() {
            if let Some(taken) = taken {
                loaded.tell(name, &format!("not read, {taken} takes its place"));
                continue;
            }
            match self.content(name) {
                Ok(Some(content)) => {
                    if self.take(group, name, &content, loaded) {
                        taken = Some(name);
                    }
                    kept.push(group.clone());
                }
                Ok(None) => {}
                Err(reason) => {
                    loaded.problems.push(reason);
                    kept.push(group.clone());
                    if let Some(known) = self.groups.get_mut(group) {
                        known.saved = false;
                    }
                }
            }
        }
    }

    fn load_json(&mut self, loaded: &mut Loaded, kept: &mut Vec<String>) {
        let groups = match self.host.load(file::JSON) {
            Ok(None) => return,
            Ok(Some(bytes)) if bytes.len() > file::MAX_SIZE => Err("too large".to_owned()),
            Ok(Some(bytes)) => file::read_json(&bytes).ok_or_else(|| "not readable".to_owned()),
            Err(reason) => Err(reason),
        };
        let (groups, nameless) = match groups {
            Ok(groups) => groups,
            Err(reason) => {
                loaded.tell(file::JSON, &reason);
                let of_json = |(name, group): (&str, &store::Group)| {
                    (group.file.as_deref() == Some(file::JSON)).then(|| name.to_owned())
                };
                kept.extend(self.groups.iter().filter_map(of_json));
                return;
            }
        };
        if nameless > 0 {
            loaded.tell(file::JSON, &format!("{nameless} groups without a proper name"));
        }
        for (group, content) in groups {
            if kept.contains(&group) {
                loaded.tell(file::JSON, &format!("group {group} not read, it has another file"));
                continue;
            }
            self.take(&group, file::JSON, &content, loaded);
            kept.push(group);
        }
    }

    /// Puts what a file holds in place of what the group held.
    fn take(&mut self, group: &str, name: &str, content: &Content, loaded: &mut Loaded) -> bool {
        if content.bad > 0 {
            let numbers: Vec<String> = content.bad_lines.iter().map(ToString::to_string).collect();
            let unit = match (name == file::JSON, content.bad) {
                (true, _) => format!("entry of {group}"),
                (false, 1) => "line".to_owned(),
                (false, _) => "lines".to_owned(),
            };
            let mut what = format!("not an address: {unit} {}", numbers.join(", "));
            if content.bad > numbers.len() {
                what.push_str(&format!(", … ({} in all)", content.bad));
            }
            loaded.tell(name, &what);
        }
        match self.groups.replace(group, &content.entries, name) {
            Ok(()) => {
                loaded.groups = loaded.groups.saturating_add(1);
                loaded.entries = loaded.entries.saturating_add(content.entries.len());
                true
            }
            Err(error) => {
                loaded.tell(name, &error.to_string());
                false
            }
        }
    }

    /// Reads a file; sets it aside if it is damaged or not for us. `None` if there is none.
    fn content(&mut self, name: &str) -> Result<Option<Content>, String> {
        let Some(bytes) = self.host.load(name).map_err(|reason| format!("{name}: {reason}"))?
        else {
            return Ok(None);
        };
        if bytes.len() > file::MAX_SIZE {
            return Err(format!("{name}: larger than {} octets", file::MAX_SIZE));
        }
        let (what, aside) = match file::read(&bytes) {
            Ok(content) => return Ok(Some(content)),
            Err(file::Error::Damaged) => ("damaged", "bad"),
            Err(file::Error::Newer) => ("of a later version", "newer"),
        };
        let aside = format!("{name}.{aside}");
        match self.host.rename(name, &aside) {
            Ok(()) => Err(format!("{name}: {what}, kept as {aside}")),
            Err(reason) => {
                let reason = format!("{name}: {what}, and cannot be renamed: {reason}");
                self.storage(String::new());
                Err(reason)
            }
        }
    }

    /// Files of a group in the order of their numbers.
    fn files_of(&mut self, group: &str) -> Result<Vec<String>, Failure> {
        let names = self.host.list(file::FOLDER).map_err(Failure::Storage)?;
        let of_group = names.into_iter().filter(|name| file::group_of(name) == Some(group));
        Ok(of_group.map(|name| format!("{}/{name}", file::FOLDER)).collect())
    }

    const fn storage(&mut self, reason: String) -> Failure {
        self.counters.persist_errors = self.counters.persist_errors.saturating_add(1);
        Failure::Storage(reason)
    }
}

impl Members {
    fn of(group: &str, page: Page) -> Self {
        Self {
            group: group.to_owned(),
            last: None,
            skip: page.after,
            all: false,
            left: page.rows,
            position: page.after,
        }
    }

    /// Hands out at most `most` further members; `false` once the page is complete. `next` is
    /// set when more would follow.
    pub(super) fn rows(
        &mut self,
        groups: &Store,
        most: usize,
        into: &mut Vec<Item>,
        next: &mut Option<u64>,
    ) -> bool {
        let mut room = most.min(self.left);
        let mut more = groups.iter_from(&self.group);
        while let Some((name, group)) =
            more.next().filter(|(name, _)| self.all || *name == self.group)
        {
            if self.all && name != self.group {
                name.clone_into(&mut self.group);
                self.last = None;
            }
            let length = group.len() as u64;
            if self.last.is_none() && self.skip >= length {
                self.skip = self.skip.saturating_sub(length);
                continue;
            }
            let skip = usize::try_from(std::mem::take(&mut self.skip)).unwrap_or(usize::MAX);
            for entry in group.members_after(self.last).skip(skip) {
                if self.left == 0 {
                    *next = Some(self.position);
                    return false;
                }
                if room == 0 {
                    return true;
                }
                let row =
                    Row::new().with("group", name.to_owned()).with("address", entry.to_string());
                into.push(Item::Row(row));
                self.last = Some(entry);
                self.position = self.position.saturating_add(1);
                self.left = self.left.saturating_sub(1);
                room = room.saturating_sub(1);
            }
        }
        false
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Limit => Self::Limit,
            store::Error::Name => Self::GroupName,
        }
    }
}

impl Loaded {
    fn tell(&mut self, name: &str, what: &str) {
        if self.problems.len() < MAX_FILES {
            self.problems.push(format!("{name}: {what}"));
        }
    }
}

fn check(group: &str) -> Result<(), Failure> {
    if store::is_name(group) { Ok(()) } else { Err(Failure::GroupName) }
}

fn parse(entries: &[Option<String>]) -> (Vec<Entry>, usize) {
    let parsed: Vec<Entry> =
        entries.iter().filter_map(|entry| Entry::parse(entry.as_deref()?)).collect();
    let errors = entries.len().saturating_sub(parsed.len());
    (parsed, errors)
}

fn counts(total: usize, errors: usize) -> Row {
    Row::new().with("errors", errors).with("total", total)
}
