//! Pools of miners: Stratum (Slush Pool's documentation), its forms for Ethereum (`eth-proxy`,
//! EthereumStratum) and for Monero (`login`).

use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::MINING, &[3333, 4444], dissect);

/// What only these messages say.
const WORDS: [&[u8]; 9] = [
    b"\"mining.subscribe\"",
    b"\"mining.authorize\"",
    b"\"mining.notify\"",
    b"\"mining.configure\"",
    b"\"eth_submitLogin\"",
    b"\"eth_getWork\"",
    b"\"eth_submitHashrate\"",
    b"\"job_id\"",
    b"\"mining.set_difficulty\"",
];

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if view.first() != Some(b'{') {
        return Verdict::No;
    }
    let near = view.data.get(..400).unwrap_or(view.data);
    let says = |word: &[u8]| near.windows(word.len()).any(|window| window == word);
    let login = says(b"\"login\"") && says(b"\"method\"") && says(b"\"pass\"");
    if login || WORDS.iter().any(|word| says(word)) {
        if let Some(agent) = value(near, b"\"agent\"") {
            facts.put(Fact::UserAgent, agent);
        }
        return Verdict::Is(Protocol::MINING);
    }
    // An object that has not ended.
    if !near.contains(&b'\n') && !near.ends_with(b"}") && near.len() < 400 {
        Verdict::Wait
    } else {
        Verdict::No
    }
}

/// The text that a member has.
fn value<'a>(json: &'a [u8], member: &[u8]) -> Option<&'a [u8]> {
    let at = json.windows(member.len()).position(|window| window == member)?;
    let rest = json.get(at.checked_add(member.len())?..)?;
    rest.split(|octet| *octet == b'"').nth(1)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn miners_subscribe() {
        let ask = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"m/1\"]}\n";
        let talk = Talk::tcp(9050).client(ask);
        assert_eq!(talk.protocol(), Protocol::MINING);
        talk.survives();
        let login = b"{\"method\":\"login\",\"params\":{\"login\":\"4B\",\"pass\":\"x\",\
            \"agent\":\"miner/2\"},\"id\":1}\n";
        let talk = Talk::tcp(9050).client(login);
        assert_eq!(talk.fact(Fact::UserAgent).as_deref(), Some("miner/2"));
        let other = b"{\"id\":1,\"method\":\"sum\",\"params\":[1]}\n";
        assert_ne!(Talk::tcp(9050).client(other).protocol(), Protocol::MINING);
    }
}
