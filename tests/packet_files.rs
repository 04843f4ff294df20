//! Sessions that the agent writes into files, without sockets: the session is opened and fed by
//! the test, the files are real.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod support;

use std::fs;
use std::path::Path;

use portolan::core::Agent;
use portolan::core::packets::{
    End, Ending, Format, NewPort, Order, PortId, Recording, SessionId, State,
};
use portolan::filter::names::BuiltIn;
use portolan::io::recorder::Recorder;
use portolan::wire::raw::RawFrame;

use support::{Flash, blocks};

/// A recording of files with at most 10 000 octets, open with one interface.
fn record(agent: &mut Agent, folder: &Path, files: u32, format: Format) -> (SessionId, PortId) {
    let recording = Recording {
        name: "x".to_owned(),
        files: Some(files),
        folder: folder.display().to_string(),
        most: 10_000,
    };
    let order = Order { recording: Some(recording), format, ..Order::default() };
    let clock = agent.clock();
    let id = agent.packets.begin(order, 8, &BuiltIn, clock, &mut agent.counters).unwrap();
    let port = NewPort { name: "a0".to_owned(), ifindex: 3, hardware: 1, ..NewPort::default() };
    let port = agent.packets.add_port(id, port, &clock).unwrap();
    assert!(agent.packets.opened(id, &clock));
    (id, port)
}

fn feed(agent: &mut Agent, (id, port): (SessionId, PortId), count: usize) {
    let clock = agent.clock();
    let raw = RawFrame { wall: clock.wall, data: &[7; 500], wire_len: 500, ..RawFrame::EMPTY };
    for _ in 0..count {
        agent.session_frames(id, port, &[raw], &clock);
    }
}

#[test]
fn files_that_are_full_are_put_aside_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), "").unwrap();
    let mut agent = Flash::default().agent();
    let session = record(&mut agent, folder.path(), 3, Format::Pcapng);
    let mut recorder = Recorder::default();
    for _ in 0..10 {
        feed(&mut agent, session, 10);
        while recorder.serve(&mut agent) {}
    }
    let clock = agent.clock();
    agent.packets.end(session.0, End::new(Ending::Stopped, "stopped"), &clock);
    recorder.finish(&mut agent);
    assert_eq!(agent.packets.state(session.0), None, "it is over and forgotten");
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["x", "x.1", "x.2"]);
    let mut packets = 0;
    for name in ["x", "x.1", "x.2"] {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        assert!(bytes.len() <= 10_000, "{name}: {}", bytes.len());
        let kinds = blocks(&bytes);
        assert_eq!(kinds[..2], [0x0a0d_0d0a, 1], "{name} can be read by itself");
        packets += kinds.iter().filter(|kind| **kind == 6).count();
    }
    assert!((20..100).contains(&packets), "{packets}");
    assert_eq!(blocks(&fs::read(folder.path().join("x")).unwrap()).last(), Some(&5));
}

#[test]
fn a_single_file_that_is_full_ends_the_session() {
    for format in [Format::Pcapng, Format::Pcap] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x"), "").unwrap();
        let mut agent = Flash::default().agent();
        let session = record(&mut agent, folder.path(), 1, format);
        let mut recorder = Recorder::default();
        feed(&mut agent, session, 100);
        recorder.serve(&mut agent);
        let state = agent.packets.state(session.0);
        assert!(matches!(state, Some(State::Over(end)) if end.ending == Ending::Complete));
        recorder.finish(&mut agent);
        assert_eq!(agent.packets.state(session.0), None);
        let bytes = fs::read(folder.path().join("x")).unwrap();
        assert!((9_000..10_200).contains(&bytes.len()), "{}", bytes.len());
        if format == Format::Pcapng {
            assert_eq!(blocks(&bytes).last(), Some(&5));
        } else {
            assert_eq!((bytes.len() - 24) % 516, 0, "whole records");
        }
    }
}

#[test]
fn a_file_that_cannot_be_written_ends_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    // Put in the way between the order and the first write.
    std::os::unix::fs::symlink(outside.path(), folder.path().join("x")).unwrap();
    let mut agent = Flash::default().agent();
    let session = record(&mut agent, folder.path(), 2, Format::Pcapng);
    let mut recorder = Recorder::default();
    feed(&mut agent, session, 1);
    recorder.serve(&mut agent);
    let state = agent.packets.state(session.0);
    assert!(matches!(state, Some(State::Over(end)) if end.ending == Ending::Failed), "{state:?}");
    recorder.finish(&mut agent);
    assert_eq!(agent.packets.state(session.0), None);
    assert_eq!(agent.counters.packet_files_failed, 1);
    assert_eq!(fs::read(outside.path()).unwrap(), b"");
}
