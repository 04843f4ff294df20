//! Runs the fuzz targets' checks over their seeds and over every prefix of each seed.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, helpers included, may panic"
)]

use std::fs;
use std::path::Path;

#[path = "fuzz/checks.rs"]
mod checks;

fn over_seeds(target: &str, check: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(target);
    let mut count = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let seed = fs::read(entry.unwrap().path()).unwrap();
        for len in 0..=seed.len() {
            check(&seed[..len]);
        }
        count += 1;
    }
    assert!(count > 1, "no seeds for {target}");
}

#[test]
fn dissector_seeds_pass() {
    over_seeds("dissectors", checks::dissection::dissectors);
}

#[test]
fn packet_seeds_pass() {
    over_seeds("packet", checks::packet);
}

#[test]
fn pcap_file_seeds_pass() {
    over_seeds("pcap_file", checks::pcap_file);
}

#[test]
fn configuration_seeds_pass() {
    over_seeds("configuration", checks::configuration);
}

#[test]
fn group_file_seeds_pass() {
    over_seeds("group_file", checks::group_file);
}

#[test]
fn json_command_seeds_pass() {
    over_seeds("json_command", checks::json_command);
}

#[test]
fn management_seeds_pass() {
    over_seeds("management", checks::management);
}

#[test]
fn netlink_message_seeds_pass() {
    over_seeds("netlink_message", checks::netlink_message);
}

#[test]
fn conntrack_seeds_pass() {
    over_seeds("conntrack", checks::conntrack);
}

#[test]
fn filter_seeds_pass() {
    over_seeds("filter", checks::filter);
}

#[test]
fn layers_seeds_pass() {
    over_seeds("layers", checks::layers);
}

#[test]
fn dns_seeds_pass() {
    over_seeds("dns", checks::dns);
}

#[test]
fn dhcp_seeds_pass() {
    over_seeds("dhcp", checks::dhcp);
}

#[test]
fn protobuf_envelope_seeds_pass() {
    over_seeds("protobuf_envelope", checks::protobuf_envelope);
}

#[test]
fn http_request_seeds_pass() {
    over_seeds("http_request", checks::http_request);
}

#[test]
fn websocket_seeds_pass() {
    over_seeds("websocket", checks::websocket);
}

#[test]
fn json_body_seeds_pass() {
    over_seeds("json_body", checks::json_body);
}

#[test]
fn gremlin_seeds_pass() {
    over_seeds("gremlin", checks::gremlin);
}

#[test]
fn proc_files_seeds_pass() {
    over_seeds("proc_files", checks::proc_files);
}

#[test]
fn packet_order_seeds_pass() {
    over_seeds("packet_order", checks::sessions::packet_order);
}

#[test]
fn packet_stream_seeds_pass() {
    over_seeds("packet_stream", checks::sessions::packet_stream);
}

#[test]
fn packet_door_seeds_pass() {
    over_seeds("packet_door", checks::sessions::packet_door);
}

#[test]
fn host_names_seeds_pass() {
    over_seeds("host_names", checks::sessions::host_names);
}

#[test]
fn discovery_seeds_pass() {
    over_seeds("discovery", checks::sessions::discovery);
}
