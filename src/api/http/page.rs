//! The start page: what can be captured on this machine, with links that open Wireshark by its
//! Packetflix plugin, and links to download a capture. No scripts, and nothing from elsewhere.

use std::rc::Rc;

use crate::netns::Machine;
use crate::netns::targets::{self, Target};
use crate::text::is_hidden;

/// Interfaces of one target that have links of their own; a link to all is always there.
const MAX_INTERFACES: usize = 64;

/// The page, a piece at a time.
#[derive(Debug)]
pub struct Text {
    machine: Rc<Machine>,
    host: String,
    /// The next namespace; none before the head is written.
    next: Option<usize>,
}

impl Text {
    /// At the beginning, for a client that reached this machine by that name.
    pub(super) const fn new(machine: Rc<Machine>, host: String) -> Self {
        Self { machine, host, next: None }
    }

    /// Appends more, about `most` octets; `true` if there is still more.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, most: usize) -> bool {
        let most = most.saturating_add(out.len());
        while out.len() < most {
            let Some(at) = self.next else {
                out.extend_from_slice(b"<!DOCTYPE html>\n<html lang=\"en\"><title>Portolan: ");
                escape(out, &self.machine.facts.hostname);
                out.extend_from_slice(b"</title>\n<h1>");
                escape(out, &self.machine.facts.hostname);
                out.extend_from_slice(
                    b"</h1>\n<p>Follow a name to open Wireshark (with its Packetflix plugin), or \
                      \xe2\x87\xa9 for a capture file that grows until it is stopped.\n\
                      <table>\n<tr><th>Target<th>Type<th>Interfaces\n",
                );
                self.next = Some(0);
                continue;
            };
            let Some(space) = self.machine.spaces.get(at) else {
                out.extend_from_slice(
                    b"</table>\n<p><a href=\"mobyshark\">Targets</a> \
                      <a href=\"json\">Everything</a> \
                      <a href=\"api/openapi.json\">Interface for programs</a>\n</html>",
                );
                return false;
            };
            for target in targets::of_space(&self.machine, space) {
                out.extend_from_slice(b"<tr><td>");
                self.links(out, &target, space.inode, None);
                out.extend_from_slice(b"<td>");
                escape(out, target.kind);
                out.extend_from_slice(b"<td>");
                let shown = space.interfaces.iter().filter(|interface| interface.is_target());
                for interface in shown.take(MAX_INTERFACES) {
                    self.links(out, &target, space.inode, Some(&interface.name));
                    out.push(b'\n');
                }
            }
            self.next = Some(at.saturating_add(1));
        }
        true
    }

    /// Appends both links to a target, or to one interface of it.
    fn links(&self, out: &mut Vec<u8>, target: &Target<'_>, inode: u64, interface: Option<&str>) {
        let mut query = b"container=".to_vec();
        let mut described = Vec::new();
        targets::write(&mut described, target, inode, interface.into_iter());
        percent(&mut query, &described);
        if let Some(name) = interface {
            query.extend_from_slice(b"&amp;nif=");
            percent(&mut query, name.as_bytes());
        }
        out.extend_from_slice(b"<a href=\"packetflix:ws://");
        escape(out, &self.host);
        out.extend_from_slice(b"/capture?");
        out.extend_from_slice(&query);
        out.extend_from_slice(b"\">");
        escape(out, interface.unwrap_or(&target.name));
        out.extend_from_slice(b"</a> <a download href=\"capture.pcapng?");
        out.extend_from_slice(&query);
        out.extend_from_slice(b"\">\xe2\x87\xa9</a>");
    }
}

/// Appends what HTML takes for nothing but text.
fn escape(out: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '"' => out.extend_from_slice(b"&quot;"),
            '\'' => out.extend_from_slice(b"&#39;"),
            c if is_hidden(c) => out.push(b'?'),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Appends octets as the value of a query has them (RFC 3986).
fn percent(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(*byte);
        } else {
            out.push(b'%');
            for half in [byte >> 4, byte & 15] {
                out.extend(DIGITS.get(usize::from(half)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::interface::Interface;
    use crate::netns::machine::{Process, Space, Tenant};

    #[test]
    fn names_are_text_and_nothing_else() {
        let evil = "<script>\"'&\u{202e}\u{1b}x";
        let process = Process { pid: 5, netns: 7, comm: evil.into(), ..Process::default() };
        let interface =
            Interface { index: 1, name: "a,\"<b>".into(), operstate: 6, ..Interface::default() };
        let space = Space {
            inode: 7,
            tenants: vec![Tenant::default()],
            interfaces: vec![interface],
            ..Space::default()
        };
        let machine =
            Machine { processes: vec![process], spaces: vec![space], ..Machine::default() };
        let mut text = Text::new(Rc::new(machine), "h\"<x>:5001".to_owned());
        let mut out = Vec::new();
        while text.write(&mut out, 100) {}
        let page = String::from_utf8(out).unwrap();
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("<x>"));
        assert!(page.contains("&lt;script&gt;&quot;&#39;&amp;??x(5)</a>"), "{page}");
        assert!(page.contains("packetflix:ws://h&quot;&lt;x&gt;:5001/capture?container=%7B%22"));
        assert!(page.contains("&amp;nif=a%2C%22%3Cb%3E"));
        assert!(page.contains("href=\"capture.pcapng?container=%7B"));
    }
}
