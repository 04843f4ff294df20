//! NNTP: RFC 3977.

use crate::detect::facts::Fact;
use crate::detect::text::{Start, contains_any, first_line, line, start_of, starts};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::NNTP, &[119], dissect);

/// What clients say that others do not.
const COMMANDS: [&[u8]; 8] = [
    b"MODE READER",
    b"MODE STREAM",
    b"AUTHINFO ",
    b"CAPABILITIES\r\n",
    b"GROUP ",
    b"IHAVE ",
    b"LIST OVERVIEW.FMT",
    b"XOVER",
];

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let greetings: [&[u8]; 2] = [b"200 ", b"201 "];
    let halves = [view.data, view.other];
    let server = halves.iter().find(|half| start_of(half, &greetings) == Start::Whole);
    let client = halves.iter().any(|half| COMMANDS.iter().any(|command| starts(half, command)));
    let tells = |server: &[u8]| {
        contains_any(first_line(server), &[b"NNTP", b"NNRP", b"news"]) || view.has_port(119)
    };
    let is_known = match server {
        Some(server) if line(server).is_some() => client || tells(server),
        Some(_) => return Verdict::Wait,
        None => client && view.has_port(119),
    };
    if !is_known {
        let may = start_of(view.data, &greetings) != Start::No
            || start_of(view.data, &COMMANDS) != Start::No;
        return if may && view.len < 512 { Verdict::Wait } else { Verdict::No };
    }
    if let Some(server) = server {
        facts.put(Fact::Server, first_line(server).get(4..).unwrap_or_default());
    }
    Verdict::Is(Protocol::NNTP)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn greetings_and_commands() {
        let talk = Talk::tcp(1119).server(b"200 hello\r\n").client(b"MODE READER\r\n");
        assert_eq!(talk.protocol(), Protocol::NNTP);
        assert_eq!(Talk::tcp(119).server(b"200 hello\r\n").protocol(), Protocol::NNTP);
        assert_eq!(Talk::tcp(1119).server(b"201 NNTP ready\r\n").protocol(), Protocol::NNTP);
        assert_eq!(Talk::tcp(1119).server(b"200 hello\r\n").protocol(), Protocol::UNKNOWN);
    }
}
