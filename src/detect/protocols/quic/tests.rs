use super::initial::tests::sealed;
use crate::detect::protocols::tls::hello::tests::HELLO;
use crate::detect::testing::{Talk, hex};
use crate::detect::{Fact, Protocol};

const ID: &[u8] = b"\x83\x94\xc8\xf0\x3e\x51\x57\x08";

/// The handshake message of a client.
fn hello() -> Vec<u8> {
    let body = hex(HELLO);
    let mut hello = vec![1, 0, 0, u8::try_from(body.len()).unwrap()];
    hello.extend(body);
    hello
}

/// A frame with a piece of it.
fn piece(stream: &[u8], from: usize, to: usize) -> Vec<u8> {
    let mut frame = vec![6];
    for number in [from, to - from] {
        frame.extend((0x4000 | u16::try_from(number).unwrap()).to_be_bytes());
    }
    frame.extend(&stream[from..to]);
    frame
}

/// Filled up to the length of a first packet.
fn padded(mut frames: Vec<u8>) -> Vec<u8> {
    frames.resize(1_162, 0);
    frames
}

#[test]
fn a_hello_in_one_packet_its_pieces_in_disorder() {
    let hello = hello();
    let mut frames = piece(&hello, 100, hello.len());
    frames.push(1);
    frames.extend(piece(&hello, 0, 40));
    frames.extend([0; 7]);
    frames.extend(piece(&hello, 40, 100));
    let talk = Talk::udp(443).client(&sealed(ID, ID, 2, &padded(frames)));
    assert_eq!(talk.protocol(), Protocol::QUIC);
    assert_eq!(talk.fact(Fact::Host).as_deref(), Some("www.example.com"));
    assert_eq!(talk.facts(Fact::Alpn), ["h2", "http/1.1"]);
    assert_eq!(talk.fact(Fact::Ja4).as_deref(), Some("q13d0408h2_39e807bd56df_bfe7553f62d5"));
}

#[test]
fn a_hello_in_several_packets_in_disorder() {
    let hello = hello();
    let second = sealed(ID, ID, 1, &padded(piece(&hello, 90, hello.len())));
    let first = sealed(ID, ID, 0, &padded(piece(&hello, 0, 90)));
    let talk = Talk::udp(443).client(&second).client(&first);
    assert_eq!(talk.fact(Fact::Host).as_deref(), Some("www.example.com"));
    // The second goes to the id that the server chose, with the keys of the first.
    let other = sealed(b"chosen", ID, 1, &padded(piece(&hello, 90, hello.len())));
    let talk = Talk::udp(443).client(&first).client(&other);
    assert_eq!(talk.fact(Fact::Host).as_deref(), Some("www.example.com"));
    let talk = Talk::udp(443).client(&second);
    assert_eq!((talk.protocol(), talk.fact(Fact::Host)), (Protocol::QUIC, None));
}

#[test]
fn what_cannot_be_read_is_still_known_by_its_form() {
    let packet = sealed(ID, b"another1", 0, &padded(piece(&hello(), 0, 90)));
    let talk = Talk::udp(4433).client(&packet);
    assert_eq!((talk.protocol(), talk.fact(Fact::Host)), (Protocol::QUIC, None));
    let negotiation = hex("80 00000000 08 8394c8f03e515708 00 00000001 6b3343cf");
    assert_eq!(Talk::udp(4433).server(&negotiation).protocol(), Protocol::QUIC);
}

#[test]
fn others_are_not_taken() {
    let packet = sealed(ID, ID, 0, &padded(piece(&hello(), 0, 90)));
    // The fixed bit, the version, the length of the id, that of the packet.
    for (at, octet) in [(0, 0x80), (4, 0x09), (5, 21), (16, 0x7f)] {
        let mut bad = packet.clone();
        bad[at] = octet;
        assert_eq!(Talk::udp(4433).client(&bad).protocol(), Protocol::UNKNOWN, "{at}");
    }
    assert_eq!(Talk::udp(4433).client(&[0x40; 1_200]).protocol(), Protocol::UNKNOWN);
    for end in (0..packet.len()).step_by(7) {
        Talk::udp(443).client(&packet[..end]).client(&packet[end..]).protocol();
    }
}

#[test]
fn the_hello_of_google() {
    let mut packet = vec![0x09];
    packet.extend([7; 8]);
    packet.extend(b"Q039\x01");
    packet.extend([9; 12]);
    packet.extend(b"\xa0\x01\0\x40CHLO\x02\0\0\0SNI\0\x09\0\0\0UAID\x0d\0\0\0a.exampletest");
    let talk = Talk::udp(443).client(&packet);
    assert_eq!(talk.protocol(), Protocol::QUIC);
    assert_eq!(talk.fact(Fact::Host).as_deref(), Some("a.example"));
    assert_eq!(talk.fact(Fact::UserAgent).as_deref(), Some("test"));
    for end in 0..packet.len() {
        Talk::udp(443).client(&packet[..end]).protocol();
    }
}
