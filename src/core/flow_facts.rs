//! What was found out of a flow by its payload, as values of one row each: for those who ask for a
//! single flow.

use super::engine::Lore;
use super::row::Row;
use crate::detect::{Fact, Found, Outcome, Protocol};

/// Adds to a row what is known of a flow besides its headers.
pub(super) fn push(row: &mut Row, what: &Outcome, lore: &Lore) {
    let protocol = if what.protocol == Protocol::UNKNOWN { "" } else { what.protocol.name() };
    row.push("protocol", protocol);
    row.push("protocol_category", what.protocol.entry().category.name());
    if let Some(application) = lore.applications.get(what.application) {
        row.push("application", application.tag.to_string());
        row.push("application_category", application.category.name());
        row.push("found_by", found_by(what.found));
    }
    row.push("guessed", what.is_guessed);
    row.push("recalled", what.is_recalled);
    for (fact, value) in what.facts.iter() {
        row.push(fact.name(), text(fact, value));
    }
}

const fn found_by(found: Found) -> &'static str {
    match found {
        Found::Nothing => "",
        Found::Address => "network",
        Found::Expression => "expression",
        Found::Hint => "name of DNS",
        Found::Host => "name of the host",
        Found::Payload => "payload",
        Found::Port => "port",
        Found::Protocol => "protocol",
    }
}

/// Numbers and digests in hexadecimal, all else as text: whoever shows it escapes it.
fn text(fact: Fact, value: &[u8]) -> String {
    let is_binary = matches!(
        fact,
        Fact::TlsVersion | Fact::Cipher | Fact::CertSha1 | Fact::Ech | Fact::InfoHash
    );
    if !is_binary {
        return String::from_utf8_lossy(value).into_owned();
    }
    let digit = |n: u8| char::from_digit(n.into(), 16).unwrap_or('0');
    value.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::row::Value;

    #[test]
    fn facts_are_told_by_name() {
        let mut what = Outcome { protocol: Protocol::TLS, ..Outcome::default() };
        what.facts.put(Fact::Host, b"a.example");
        what.facts.put(Fact::TlsVersion, &[3, 4]);
        what.facts.put(Fact::UserAgent, b"x\xff");
        let mut row = Row::new();
        push(&mut row, &what, &Lore::default());
        let of = |name: &str| row.get(name).and_then(Value::as_text).unwrap_or_default().to_owned();
        assert_eq!(of("protocol"), Protocol::TLS.name());
        assert_eq!((of("server_name"), of("tls_version")), ("a.example".to_owned(), "0304".into()));
        assert_eq!(of("user_agent"), "x\u{fffd}");
    }
}
