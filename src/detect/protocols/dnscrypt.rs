//! DNSCrypt, versions 1 and 2 over UDP: draft-denis-dprive-dnscrypt. What a client sends looks
//! like noise of certain lengths; the resolver's answers begin with a word that is the same for all.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::DNSCRYPT, &[], dissect);

/// The resolver's word.
const ANSWER: &[u8] = b"r6fnvWj8";

/// Octets of a question before its text (the client's word, key and nonce) and of the tag in it.
const QUESTION: usize = 8 + 32 + 12 + 16;

/// Texts are filled up to multiples of this.
const BLOCK: usize = 64;

/// Octets of an answer before its text: the word and the nonce, whose tag follows.
const MIN_ANSWER: usize = 8 + 24 + 16;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.data.starts_with(ANSWER) && view.len >= MIN_ANSWER {
        return Verdict::Is(Protocol::DNSCRYPT);
    }
    // Some count the whole of a question instead.
    let text = view.len.saturating_sub(QUESTION);
    let is_padded = text.is_multiple_of(BLOCK) || view.len.is_multiple_of(BLOCK);
    let is_question = text >= BLOCK && is_padded;
    if is_question && view.from_client { Verdict::Wait } else { Verdict::No }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn the_answer_tells() {
        let mut answer = b"r6fnvWj8".to_vec();
        answer.extend([7; 200]);
        let talk = Talk::udp(443).client(&[0x9c; 68 + 256]).server(&answer);
        assert_eq!(talk.protocol(), Protocol::DNSCRYPT);
        assert_eq!(Talk::udp(443).client(&[0x9c; 68 + 256]).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::udp(443).server(&answer[..40]).protocol(), Protocol::UNKNOWN);
    }
}
