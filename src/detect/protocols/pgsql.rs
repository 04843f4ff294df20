//! PostgreSQL: its documentation, "Frontend/Backend Protocol", version 3.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::PGSQL, &[5432, 6432], dissect);

/// What stands in place of a version when something else is asked for.
const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    view.judge(Protocol::PGSQL, read(view.data, facts))
}

fn read(data: &[u8], facts: &mut Facts) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    match data.first()? {
        0 => read_start(cursor, facts),
        // The server asks for a password, or says what is wrong.
        b'R' => {
            cursor.skip(1)?;
            let (len, method) = (cursor.u32()?, cursor.u32()?);
            Some((8..=512).contains(&len) && method <= 12)
        }
        b'E' => {
            cursor.skip(1)?;
            let len = cursor.u32()?;
            Some((16..=4096).contains(&len) && matches!(&cursor.array()?, b"SFATAL" | b"SERROR"))
        }
        _ => Some(false),
    }
}

fn read_start(mut cursor: Cursor<'_>, facts: &mut Facts) -> Option<bool> {
    let len = cursor.u32()?;
    match (len, cursor.u32()?) {
        (8, SSL | GSS) | (16, CANCEL) => Some(true),
        // Names and values, each ended by a zero.
        (13..=10_000, 0x0003_0000..=0x0003_0002) => {
            let mut is_first = true;
            for _ in 0..16 {
                let Some(name) = cursor.until(0).filter(|name| !name.is_empty()) else { break };
                let Some(value) = cursor.until(0) else { break };
                if is_first && !name.iter().all(|o| o.is_ascii_lowercase() || *o == b'_') {
                    return Some(false);
                }
                is_first = false;
                if name == b"user" {
                    facts.put(Fact::User, value);
                }
            }
            Some(!is_first)
        }
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_session_is_started() {
        let mut start = hex("00 00 00 21 00 03 00 00");
        start.extend_from_slice(b"user\0frida\0database\0x\0\0");
        Talk::tcp(5432).client(&start).survives();
        let talk = Talk::tcp(5432).client(&start);
        assert_eq!(talk.protocol(), Protocol::PGSQL);
        assert_eq!(talk.fact(Fact::User).as_deref(), Some("frida"));
        assert_eq!(Talk::tcp(9).client(&hex("00000008 04d2162f")).protocol(), Protocol::PGSQL);
        assert_eq!(Talk::tcp(9).client(&hex("00000009 04d2162f")).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_server_is_heard_alone() {
        let ask = hex("52 0000000c 00000005 01020304");
        assert_eq!(Talk::tcp(5432).server(&ask).protocol(), Protocol::PGSQL);
    }
}
