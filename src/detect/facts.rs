//! What dissectors learn besides the protocol: names, versions, fingerprints. Kept as they came
//! off the wire, hostile octets and all; whoever shows them escapes them.

/// What a value is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Fact {
    /// Name of the server: SNI, `Host`, the name that was asked for, of a device that speaks of
    /// itself.
    Host = 1,
    /// The URL's path, or the whole if there is no host (HTTP).
    Url,
    /// `User-Agent` (HTTP, SSDP, SIP).
    UserAgent,
    /// A protocol that the client offers (ALPN); several times.
    Alpn,
    /// The protocol that the server chose (ALPN).
    AlpnServer,
    /// Negotiated version of TLS, DTLS or SSL, two octets, most significant first.
    TlsVersion,
    /// The server's choice of cipher suite, two octets.
    Cipher,
    /// Common name of the server's certificate.
    CertName,
    /// Distinguished name of its issuer, RFC 4514.
    CertIssuer,
    /// Distinguished name of its subject, RFC 4514.
    CertSubject,
    /// SHA-1 of the server's certificate, 20 octets.
    CertSha1,
    /// JA3 of the client, as hexadecimal text.
    Ja3,
    /// JA3S of the server, as hexadecimal text.
    Ja3s,
    /// JA4 of the client, as text.
    Ja4,
    /// Version of the encrypted client hello that was offered, two octets.
    Ech,
    /// Option numbers asked for, as text with commas (DHCP).
    DhcpFingerprint,
    /// Vendor class (DHCP).
    DhcpClass,
    /// How the client of DHCP, or a device, calls itself.
    HostName,
    /// Identification of the SSH client.
    SshClient,
    /// Identification of the SSH server.
    SshServer,
    /// HASSH of the client, as hexadecimal text.
    Hassh,
    /// HASSH of the server, as hexadecimal text.
    HasshServer,
    /// BitTorrent info hash, 20 octets.
    InfoHash,
    /// An answer of mDNS: a service or a host.
    MdnsAnswer,
    /// Mapped address of STUN as `host:port`.
    StunMapped,
    /// Peer address of STUN as `host:port`.
    StunPeer,
    /// Relayed address of STUN as `host:port`.
    StunRelayed,
    /// Response origin of STUN as `host:port`.
    StunResponse,
    /// Other address of STUN as `host:port`.
    StunOther,
    /// Tag of an application that the payload shows by itself: `whatsapp`, `discord`.
    Application,
    /// Version of the protocol or of the software, as text.
    Version,
    /// The server's `Server` (HTTP, RTSP) or banner.
    Server,
    /// Who logs in, if it is said in clear text.
    User,
    /// Content type (HTTP).
    ContentType,
}

impl Fact {
    /// In the order of their numbers, which begin with 1.
    const ALL: [Self; 34] = [
        Self::Host,
        Self::Url,
        Self::UserAgent,
        Self::Alpn,
        Self::AlpnServer,
        Self::TlsVersion,
        Self::Cipher,
        Self::CertName,
        Self::CertIssuer,
        Self::CertSubject,
        Self::CertSha1,
        Self::Ja3,
        Self::Ja3s,
        Self::Ja4,
        Self::Ech,
        Self::DhcpFingerprint,
        Self::DhcpClass,
        Self::HostName,
        Self::SshClient,
        Self::SshServer,
        Self::Hassh,
        Self::HasshServer,
        Self::InfoHash,
        Self::MdnsAnswer,
        Self::StunMapped,
        Self::StunPeer,
        Self::StunRelayed,
        Self::StunResponse,
        Self::StunOther,
        Self::Application,
        Self::Version,
        Self::Server,
        Self::User,
        Self::ContentType,
    ];

    /// Its name in all outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "server_name",
            Self::Url => "url",
            Self::UserAgent => "user_agent",
            Self::Alpn => "alpn",
            Self::AlpnServer => "alpn_server",
            Self::TlsVersion => "tls_version",
            Self::Cipher => "cipher",
            Self::CertName => "cert_name",
            Self::CertIssuer => "cert_issuer",
            Self::CertSubject => "cert_subject",
            Self::CertSha1 => "cert_sha1",
            Self::Ja3 => "ja3",
            Self::Ja3s => "ja3s",
            Self::Ja4 => "ja4",
            Self::Ech => "ech",
            Self::DhcpFingerprint => "dhcp_fingerprint",
            Self::DhcpClass => "dhcp_class",
            Self::HostName => "own_name",
            Self::SshClient => "ssh_client",
            Self::SshServer => "ssh_server",
            Self::Hassh => "hassh",
            Self::HasshServer => "hassh_server",
            Self::InfoHash => "info_hash",
            Self::MdnsAnswer => "mdns_answer",
            Self::StunMapped => "stun_mapped",
            Self::StunPeer => "stun_peer",
            Self::StunRelayed => "stun_relayed",
            Self::StunResponse => "stun_response",
            Self::StunOther => "stun_other",
            Self::Application => "application",
            Self::Version => "version",
            Self::Server => "server",
            Self::User => "user",
            Self::ContentType => "content_type",
        }
    }

    /// May be said more than once.
    const fn is_list(self) -> bool {
        matches!(self, Self::Alpn | Self::MdnsAnswer)
    }
}

/// Octets of one value; the rest is cut off.
pub(super) const MAX_VALUE: usize = 255;

/// Octets of all values of a flow with two beside each; what does not fit is not kept.
pub(super) const MAX_FACTS: usize = 1_024;

/// Facts of one flow: each a tag, a length and its octets.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Facts {
    bytes: Vec<u8>,
}

impl Facts {
    /// Learns a value. Empty ones say nothing; one that is known is replaced, of lists kept too.
    pub fn put(&mut self, fact: Fact, value: &[u8]) {
        let value = value.get(..MAX_VALUE).unwrap_or(value);
        let Ok(len) = u8::try_from(value.len()) else { return };
        if len == 0 {
            return;
        }
        let (mut at, mut old) = (0_usize, None);
        while let Some([tag, len]) = self.bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let end = at.saturating_add(2).saturating_add(usize::from(*len));
            if *tag == fact as u8 {
                if self.bytes.get(at.saturating_add(2)..end) == Some(value) {
                    return;
                }
                old = Some(at..end.min(self.bytes.len()));
            }
            at = end;
        }
        if let Some(old) = old.filter(|_| !fact.is_list()) {
            self.bytes.drain(old);
        }
        let more = value.len().saturating_add(2);
        if self.bytes.len().saturating_add(more) <= MAX_FACTS {
            self.bytes.reserve(more);
            self.bytes.extend_from_slice(&[fact as u8, len]);
            self.bytes.extend_from_slice(value);
        }
    }

    /// Learns a value unless there is one.
    pub fn put_first(&mut self, fact: Fact, value: &[u8]) {
        if self.get(fact).is_none() {
            self.put(fact, value);
        }
    }

    /// The (first) value.
    #[must_use]
    pub fn get(&self, fact: Fact) -> Option<&[u8]> {
        self.all(fact).next()
    }

    /// All values of a list.
    pub fn all(&self, fact: Fact) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(f, _)| *f == fact).map(|(_, value)| value)
    }

    /// Every fact, in the order in which they were learnt.
    pub fn iter(&self) -> impl Iterator<Item = (Fact, &[u8])> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let ([tag, len], after) = rest.split_first_chunk()?;
            let (value, after) = after.split_at_checked(usize::from(*len))?;
            rest = after;
            let fact = Fact::ALL.get(usize::from(tag.checked_sub(1)?))?;
            Some((*fact, value))
        })
    }

    /// Nothing is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Octets that it takes.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_and_lists_grow() {
        let mut facts = Facts::default();
        facts.put(Fact::Host, b"one");
        facts.put(Fact::Alpn, b"h2");
        facts.put(Fact::Alpn, b"http/1.1");
        facts.put(Fact::Alpn, b"h2");
        facts.put(Fact::Host, b"two");
        facts.put_first(Fact::Host, b"three");
        facts.put(Fact::Url, b"");
        let all: Vec<_> = facts.iter().collect();
        assert_eq!(
            all,
            [(Fact::Alpn, &b"h2"[..]), (Fact::Alpn, b"http/1.1"), (Fact::Host, b"two")]
        );
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let mut facts = Facts::default();
        for n in 0..100_u8 {
            facts.put(Fact::MdnsAnswer, &[n; 300]);
        }
        assert!(facts.octets() <= MAX_FACTS);
        assert!(facts.all(Fact::MdnsAnswer).all(|value| value.len() == MAX_VALUE));
        assert_eq!(facts.all(Fact::MdnsAnswer).count(), 3);
    }

    #[test]
    fn every_tag_is_read_back() {
        for fact in Fact::ALL {
            let mut facts = Facts::default();
            facts.put(fact, b"value");
            assert_eq!(facts.get(fact), Some(&b"value"[..]), "{fact:?}");
        }
    }
}
