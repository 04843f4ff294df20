use super::hello::tests::HELLO;
use crate::detect::testing::{Talk, hex};
use crate::detect::{Fact, Protocol};

/// A server hello of TLS 1.3.
const SERVER_13: &str = "0303 0000000000000000000000000000000000000000000000000000000000000000 00
    1301 00 000f 002b00020304 00330005001d000178";

/// A server hello of TLS 1.2 without extensions.
const SERVER_12: &str = "0303 0000000000000000000000000000000000000000000000000000000000000000 00
    c02f 00";

/// The fields of a certificate that are read; issuer C=DE, O=A, B, CN=CA, subject C=DE, an odd
/// part, CN=www.example.com.
const CERTIFICATE: &str = "3073306ca00302010202010130003029310b300906035504060c024445310d300b0603
    55040a0c04412c2042310b300906035504030c02434130003033310b300906035504060c024445310a300806032a
    03040c01783118301606035504030c0f7777772e6578616d706c652e636f6d3000030100";

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, 0];
    message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    message.extend(body);
    message
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 3, 1];
    record.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    record.extend(body);
    record
}

fn client_hello() -> Vec<u8> {
    record(22, &message(1, &hex(HELLO)))
}

#[test]
fn a_client_hello_in_any_pieces() {
    let hello = client_hello();
    for size in [1_000, 60, 10, 9] {
        let talk = hello.chunks(size).fold(Talk::tcp(4433), Talk::client);
        assert_eq!(talk.protocol(), Protocol::HTTPS, "by its ALPN, in pieces of {size}");
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("www.example.com"));
        assert_eq!(talk.facts(Fact::Alpn), ["h2", "http/1.1"]);
        assert_eq!(talk.fact(Fact::Ja3).as_deref(), Some("8f67fc8ced31071d945a5895d89d99fd"));
        let ja4 = talk.fact(Fact::Ja4);
        assert_eq!(ja4.as_deref(), Some("t13d0408h2_39e807bd56df_bfe7553f62d5"));
        assert_eq!(talk.outcome().facts.get(Fact::Ech), Some(&[0xfe, 0x0d][..]));
    }
}

#[test]
fn a_client_hello_over_several_records() {
    let hello = message(1, &hex(HELLO));
    let records: Vec<u8> = hello.chunks(50).flat_map(|piece| record(22, piece)).collect();
    let talk = Talk::tcp(443).client(&records);
    assert_eq!(talk.fact(Fact::Host).as_deref(), Some("www.example.com"));
    let ja4 = talk.fact(Fact::Ja4);
    assert_eq!(ja4.as_deref(), Some("t13d0408h2_39e807bd56df_bfe7553f62d5"));
}

#[test]
fn the_answer_of_the_server() {
    let talk =
        Talk::tcp(443).client(&client_hello()).server(&record(22, &message(2, &hex(SERVER_13))));
    let outcome = talk.outcome();
    assert!(outcome.is_complete);
    assert_eq!(outcome.facts.get(Fact::TlsVersion), Some(&[3, 4][..]));
    assert_eq!(outcome.facts.get(Fact::Cipher), Some(&[0x13, 0x01][..]));
    assert_eq!(talk.fact(Fact::Ja3s).as_deref(), Some("f4febc55ea12b31ae17cfb7e614afda8"));
}

#[test]
fn a_certificate_in_clear() {
    let certificate = hex(CERTIFICATE);
    let mut list = Vec::new();
    for len in [certificate.len() + 3, certificate.len()] {
        list.extend(&u32::try_from(len).unwrap().to_be_bytes()[1..]);
    }
    list.extend(certificate);
    let mut flight = record(22, &message(2, &hex(SERVER_12)));
    flight.extend(record(22, &message(11, &list)));
    // Seen from the server alone, too.
    for talk in [Talk::tcp(4433).client(&client_hello()), Talk::tcp(4433)] {
        let talk = flight.chunks(70).fold(talk, Talk::server);
        assert_eq!(talk.fact(Fact::CertName).as_deref(), Some("www.example.com"));
        assert_eq!(talk.fact(Fact::CertIssuer).as_deref(), Some("CN=CA,O=A\\, B,C=DE"));
        let subject = talk.fact(Fact::CertSubject);
        assert_eq!(subject.as_deref(), Some("CN=www.example.com,1.2.3.4=x,C=DE"));
        let sha1 = hex("e6a014442f74f27b3dc010969e8d98ec89c174c4");
        assert_eq!(talk.outcome().facts.get(Fact::CertSha1), Some(&sha1[..]));
    }
}

#[test]
fn what_is_spoken_within_goes_by_the_port() {
    // A hello that offers no protocol: a server's.
    let hello = record(22, &message(2, &hex(SERVER_13)));
    for (port, protocol) in [
        (443, Protocol::HTTPS),
        (853, Protocol::DOT),
        (993, Protocol::IMAPS),
        (995, Protocol::POP3S),
        (8883, Protocol::MQTTS),
        (4433, Protocol::TLS),
    ] {
        assert_eq!(Talk::tcp(port).server(&hello).protocol(), protocol, "{port}");
        let silent = Talk::tcp(port).client(b"what is this, then?");
        assert_eq!(silent.protocol(), Protocol::UNKNOWN, "{port}");
        if port != 4433 {
            assert_eq!(silent.guess(), protocol, "{port}");
        }
    }
}

#[test]
fn resolvers_are_known_by_name() {
    assert!(super::is_resolver(b"dns.google"));
    assert!(super::is_resolver(b"mozilla.Cloudflare-DNS.com"));
    assert!(!super::is_resolver(b"notdns.google"));
}

#[test]
fn a_connection_in_its_middle() {
    let mut records = record(23, &[7; 40]);
    records.extend(record(23, &[8; 60]));
    assert_eq!(Talk::tcp(4433).midway().client(&records).protocol(), Protocol::TLS);
    assert_eq!(Talk::tcp(443).midway().server(&records[..30]).protocol(), Protocol::HTTPS);
    assert_eq!(Talk::tcp(4433).client(&records).protocol(), Protocol::UNKNOWN);
    records[46] = 2;
    assert_eq!(Talk::tcp(4433).midway().client(&records).protocol(), Protocol::UNKNOWN);
}

#[test]
fn the_hello_of_ssl_2() {
    let mut hello = hex("802e 01 0002 0015 0000 0010");
    hello.extend([5; 21]);
    hello.extend([6; 16]);
    assert_eq!(Talk::tcp(443).client(&hello).protocol(), Protocol::HTTPS);
    hello[6] = 20;
    assert_eq!(Talk::tcp(443).client(&hello).protocol(), Protocol::UNKNOWN);
}

#[test]
fn lying_lengths_and_cut_hellos_are_harmless() {
    let hello = client_hello();
    for end in 0..hello.len() {
        Talk::tcp(443).client(&hello[..end]).server(&hello[end..]).protocol();
    }
    for at in 0..hello.len() {
        let mut bad = hello.clone();
        bad[at] = 0xff;
        Talk::tcp(443).client(&bad).protocol();
    }
}
