//! Groups as text on flash: one member a line in `address-groups.d/NN-TAG.conf`, where blank
//! lines and lines that start with `#` say nothing. What we write begins with a comment that
//! carries version, count and checksum, so that a torn file is told from a complete one and
//! other readers of the format notice nothing. Files of other hands have no such line and are
//! taken as they are.

use std::fmt::Write as _;

use serde_json::Value;

use crate::wire::crc32::crc32;

use super::address::Entry;
use super::store::is_name;

/// The folder of the state directory that holds one file per group.
pub const FOLDER: &str = "address-groups.d";

/// The other form: all groups in one JSON document. It is read and never written.
pub const JSON: &str = "address-groups.json";

/// Larger files are not read.
pub const MAX_SIZE: usize = 8 * 1024 * 1024;

/// The file of the state directory that a new group is saved to. The caller has checked the
/// name.
#[must_use]
pub fn path(group: &str) -> String {
    format!("{FOLDER}/10-{group}.conf")
}

/// The group that a file of [`FOLDER`] belongs to.
#[must_use]
pub fn group_of(file: &str) -> Option<&str> {
    let (number, rest) = file.split_once('-')?;
    let numbered = number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit());
    rest.strip_suffix(".conf").filter(|group| numbered && is_name(group))
}

/// What a file holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Content {
    /// The members, in the order of the file.
    pub entries: Vec<Entry>,
    /// Numbers of the lines that are no address: the first few.
    pub bad_lines: Vec<usize>,
    /// How many such lines there are.
    pub bad: usize,
}

/// Why nothing of a file is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// Torn or changed after it was written: its checksum or its count disagrees.
    Damaged,
    /// Written by a later version of this program.
    Newer,
}

/// The text of a group's file.
#[must_use]
pub fn write(entries: impl Iterator<Item = Entry>) -> Vec<u8> {
    let mut body = String::from(HINT);
    let mut count = 0_usize;
    for entry in entries {
        // Writing to a String cannot fail.
        let _ = writeln!(body, "{entry}");
        count = count.saturating_add(1);
    }
    let checksum = crc32(body.as_bytes());
    let mut text = format!("{MAGIC} version={VERSION} entries={count} crc32={checksum:08x}\n");
    text.push_str(&body);
    text.into_bytes()
}

/// Reads a group's file.
///
/// # Errors
/// [`Error`]: for a file with our first line, all of it is good or nothing is taken. An empty
/// file is damaged, too: that is what a power cut leaves of one on some file systems.
pub fn read(bytes: &[u8]) -> Result<Content, Error> {
    let end = bytes.iter().position(|b| *b == b'\n');
    let (first, body) = match end.and_then(|end| bytes.split_at_checked(end.saturating_add(1))) {
        Some(parts) => parts,
        None => (bytes, [].as_slice()),
    };
    let torn_magic = end.is_none() && MAGIC.as_bytes().starts_with(first);
    let Some(header) = first.strip_prefix(MAGIC.as_bytes()).filter(|_| !torn_magic) else {
        return if torn_magic { Err(Error::Damaged) } else { Ok(lines(bytes)) };
    };
    let header = Header::parse(header)?;
    let content = lines(body);
    let complete = end.is_some() && content.bad == 0 && content.entries.len() == header.entries;
    if complete && crc32(body) == header.checksum { Ok(content) } else { Err(Error::Damaged) }
}

/// Reads `address-groups.json`: `{"address_groups":[{"name":…,"ips":[…],"macs":[…]}]}`. What
/// is no group or no address is counted as bad under the number of its group.
#[must_use]
pub fn read_json(bytes: &[u8]) -> Option<(Vec<(String, Content)>, usize)> {
    let document: Value = serde_json::from_slice(bytes).ok()?;
    let mut groups = Vec::new();
    let mut nameless = 0_usize;
    for group in document.get("address_groups")?.as_array()? {
        let Some(name) = group.get("name").and_then(Value::as_str).filter(|n| is_name(n)) else {
            nameless = nameless.saturating_add(1);
            continue;
        };
        let mut content = Content::default();
        let lists = ["ips", "macs"].into_iter().filter_map(|list| group.get(list)?.as_array());
        for (at, value) in lists.flatten().enumerate() {
            content.take(at, value.as_str().and_then(Entry::parse));
        }
        groups.push((name.to_owned(), content));
    }
    Some((groups, nameless))
}

struct Header {
    entries: usize,
    checksum: u32,
}

impl Header {
    fn parse(text: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(text).map_err(|_| Error::Damaged)?;
        let value = |name: &str| {
            let field = |word: &str| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
            text.split_ascii_whitespace().find_map(field).ok_or(Error::Damaged)
        };
        let version: u32 = value("version")?.parse().map_err(|_| Error::Damaged)?;
        if version > VERSION {
            return Err(Error::Newer);
        }
        let entries = value("entries")?.parse().map_err(|_| Error::Damaged)?;
        let checksum = value("crc32")?;
        let checksum = u32::from_str_radix(&checksum, 16).map_err(|_| Error::Damaged)?;
        Ok(Self { entries, checksum })
    }
}

impl Content {
    fn take(&mut self, at: usize, entry: Option<Entry>) {
        match entry {
            Some(entry) => self.entries.push(entry),
            None => {
                self.bad = self.bad.saturating_add(1);
                if self.bad_lines.len() < MAX_BAD_LINES {
                    self.bad_lines.push(at.saturating_add(1));
                }
            }
        }
    }
}

fn lines(bytes: &[u8]) -> Content {
    let mut content = Content::default();
    for (at, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let line = line.trim_ascii();
        if !line.is_empty() && !line.starts_with(b"#") {
            content.take(at, std::str::from_utf8(line).ok().and_then(Entry::parse));
        }
    }
    content
}

const MAGIC: &str = "# portolan-address-group";
const HINT: &str = "# Edited by hand? Then take out the line above: it holds a checksum.\n";
const VERSION: u32 = 1;

/// Line numbers that are kept for the report.
const MAX_BAD_LINES: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(texts: &[&str]) -> Vec<Entry> {
        texts.iter().map(|text| Entry::parse(text).unwrap()).collect()
    }

    fn sample() -> (Vec<Entry>, Vec<u8>) {
        let entries = entries(&["10.0.0.1", "2001:db8::/32", "aa:bb:cc:dd:ee:ff", "10.1.0.0/16"]);
        let text = write(entries.iter().copied());
        (entries, text)
    }

    #[test]
    fn what_is_written_reads_back_here_and_elsewhere() {
        let (entries, text) = sample();
        assert_eq!(read(&text).unwrap().entries, entries);
        let plain = lines(&text);
        assert_eq!((plain.entries, plain.bad), (entries, 0), "a reader that skips comments");
        assert_eq!(read(&write([].into_iter())).unwrap().entries, []);
    }

    #[test]
    fn a_file_cut_anywhere_is_complete_or_damaged() {
        let (entries, text) = sample();
        for length in 0..text.len() {
            assert_eq!(read(&text[..length]), Err(Error::Damaged), "cut at {length}");
        }
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            // A changed magic makes it a file of another hand; its members are still whole.
            match read(&changed) {
                Ok(content) => assert_eq!(content.entries, entries, "changed at {at}"),
                Err(Error::Damaged | Error::Newer) => {}
            }
        }
        let twice = [text.as_slice(), b"10.9.9.9\n"].concat();
        assert_eq!(read(&twice), Err(Error::Damaged));
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let (_, text) = sample();
        let text = String::from_utf8(text).unwrap().replace("version=1", "version=2");
        assert_eq!(read(text.as_bytes()), Err(Error::Newer));
    }

    #[test]
    fn files_of_other_hands_are_taken_with_their_bad_lines_named() {
        let content = read(b"# printers\r\n\n  10.0.0.1\r\nprinter.lan\n\t#x\n10.0.0.0/8 \n\xff\n");
        let content = content.unwrap();
        assert_eq!(content.entries, entries(&["10.0.0.1", "10.0.0.0/8"]));
        assert_eq!((content.bad, content.bad_lines), (2, Vec::from([4, 7])));
        assert_eq!(read(b"10.0.0.1").unwrap().entries.len(), 1, "no newline at the end");
    }

    #[test]
    fn names_of_files_and_groups_belong_together() {
        assert_eq!(group_of("10-printers.conf"), Some("printers"));
        assert_eq!(group_of("20--a.conf.conf"), Some("-a.conf"));
        for wrong in
            ["printers.conf", "1-a.conf", "100-a.conf", "10-.x.conf", "10-.conf", "10-a.conf.bad"]
        {
            assert_eq!(group_of(wrong), None, "{wrong}");
        }
        assert_eq!(path("printers"), "address-groups.d/10-printers.conf");
    }

    #[test]
    fn the_json_form_is_read() {
        let text = r#"{"address_groups":[
            {"name":"a","description":"x","ips":["10.0.0.1","bad",7],"macs":["aa-bb-cc-dd-ee-ff"]},
            {"name":"../b","ips":["10.0.0.2"]},
            {"name":"c"}]}"#;
        let (groups, nameless) = read_json(text.as_bytes()).unwrap();
        assert_eq!(nameless, 1);
        let [(a, content), (c, empty)] = groups.as_slice() else { panic!("{groups:?}") };
        assert_eq!((a.as_str(), c.as_str(), empty.entries.len()), ("a", "c", 0));
        assert_eq!(content.entries, entries(&["10.0.0.1", "aa:bb:cc:dd:ee:ff"]));
        assert_eq!((content.bad, &content.bad_lines), (2, &Vec::from([2, 3])));
        assert_eq!(read_json(b"[]"), None);
        assert_eq!(read_json(b"{\"address_groups\":"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = read_json(&bytes);
            let ours = [MAGIC.as_bytes(), &bytes].concat();
            let _ = read(&ours);
        }
    }
}
