//! Address groups and the files they live in: old, new or set aside, never in part.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

mod support;

use portolan::core::Agent;
use portolan::core::groups::Loaded;

use support::{Client, Flash};

const FILE: &str = "address-groups.d/10-printers.conf";

fn members(agent: &Agent, group: &str) -> Vec<String> {
    let group = agent.groups.get(group).expect("the group is there");
    group.members().map(|entry| entry.to_string()).collect()
}

fn loaded(flash: &Flash) -> (Agent, Loaded) {
    let mut agent = flash.agent();
    let loaded = agent.load_groups();
    (agent, loaded)
}

/// A saved group's file.
fn saved() -> (Flash, Vec<u8>) {
    let flash = Flash::default();
    let mut client = Client::new(flash.agent());
    let add = r#"{"command":"add-group-address","group":"printers","data":["10.0.0.1","10.9.0.0/16","aa:bb:cc:dd:ee:ff"]}"#;
    assert!(client.ask(add).contains(r#""errors":0,"total":3"#));
    let answer = client.ask(r#"{"command":"save-address-group","group":"printers"}"#);
    assert_eq!(answer, "{\"code\":100,\"message\":\"Saved group address(es).\"}\n");
    let bytes = flash.files.borrow()[FILE].clone();
    (flash, bytes)
}

#[test]
fn a_saved_group_is_back_after_a_restart() {
    let (flash, bytes) = saved();
    assert_eq!(flash.names(), [FILE]);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with("10.0.0.1\naa:bb:cc:dd:ee:ff\n10.9.0.0/16\n"), "{text}");
    let (agent, loaded) = loaded(&flash);
    assert_eq!(loaded, Loaded { groups: 1, entries: 3, problems: Vec::new() });
    assert_eq!(members(&agent, "printers"), ["10.0.0.1", "aa:bb:cc:dd:ee:ff", "10.9.0.0/16"]);
    assert!(agent.groups.get("printers").unwrap().saved);
}

#[test]
fn a_torn_file_of_any_length_is_set_aside_and_told() {
    let (_, bytes) = saved();
    for length in 0..bytes.len() {
        let flash = Flash::default();
        flash.put(FILE, &bytes[..length]);
        flash.put("address-groups.d/10-other.conf", "10.0.0.9\n");
        let (agent, loaded) = loaded(&flash);
        assert!(agent.groups.get("printers").is_none(), "cut at {length}");
        assert_eq!(members(&agent, "other"), ["10.0.0.9"], "the rest is there");
        assert_eq!(loaded.problems.len(), 1, "cut at {length}: {:?}", loaded.problems);
        let aside = format!("{FILE}.bad");
        assert_eq!(flash.names(), ["address-groups.d/10-other.conf", &aside]);
        assert_eq!(flash.files.borrow()[&aside], &bytes[..length]);
    }
}

#[test]
fn a_changed_octet_never_changes_the_group_silently() {
    let (_, bytes) = saved();
    for at in 0..bytes.len() {
        for change in [1, 0x20, 0x80] {
            let flash = Flash::default();
            let mut changed = bytes.clone();
            changed[at] ^= change;
            flash.put(FILE, &changed);
            let (agent, loaded) = loaded(&flash);
            match agent.groups.get("printers") {
                Some(group) => {
                    let all = group.len() == 3 && members(&agent, "printers")[0] == "10.0.0.1";
                    assert!(all || !loaded.problems.is_empty(), "octet {at}");
                }
                None => assert_eq!(loaded.problems.len(), 1, "octet {at}"),
            }
        }
    }
}

#[test]
fn a_reload_keeps_what_memory_has_of_a_file_that_became_bad() {
    let (flash, bytes) = saved();
    let (mut agent, _) = loaded(&flash);
    flash.put(FILE, &bytes[..bytes.len() - 4]);
    assert_eq!(agent.load_groups().problems.len(), 1);
    assert_eq!(members(&agent, "printers").len(), 3);
    assert!(!agent.groups.get("printers").unwrap().saved);
}

#[test]
fn a_file_of_a_later_version_is_neither_read_nor_overwritten() {
    let (flash, bytes) = saved();
    let later = String::from_utf8(bytes).unwrap().replace("version=1", "version=9");
    flash.put(FILE, &later);
    let (agent, loaded) = loaded(&flash);
    assert!(agent.groups.is_empty() && loaded.problems.len() == 1);
    let mut client = Client::new(agent);
    client.ask(r#"{"command":"add-group-address","group":"printers","data":"10.0.0.7"}"#);
    client.ask(r#"{"command":"save-address-group","group":"printers"}"#);
    assert_eq!(flash.files.borrow()[&format!("{FILE}.newer")], later.as_bytes());
}

#[test]
fn stateless_groups_survive_a_reload_and_file_groups_follow_their_files() {
    let flash = Flash::default();
    flash.put("address-groups.d/20-tv.conf", "# by hand\n10.0.0.1\n10.0.0.300\n");
    flash.put("address-groups.d/30-gone.conf", "10.0.0.2\n");
    flash.put("address-groups.d/readme.txt", "not a group");
    let (agent, loaded) = loaded(&flash);
    assert_eq!(loaded.groups, 2);
    assert_eq!(loaded.problems, ["address-groups.d/20-tv.conf: not an address: line 3"]);
    let mut client = Client::new(agent);
    client.ask(r#"{"command":"add-group-address","group":"memory","data":"10.0.0.5"}"#);
    client.ask(r#"{"command":"add-group-address","group":"tv","data":"10.0.0.6"}"#);
    flash.files.borrow_mut().remove("address-groups.d/30-gone.conf");
    client.agent.load_groups();
    assert_eq!(members(&client.agent, "memory"), ["10.0.0.5"]);
    assert_eq!(members(&client.agent, "tv"), ["10.0.0.1"]);
    assert!(client.agent.groups.get("gone").is_none());
}

#[test]
fn a_group_is_saved_to_the_file_it_came_from() {
    let flash = Flash::default();
    flash.put("address-groups.d/20-tv.conf", "10.0.0.1\n");
    let mut client = Client::new(loaded(&flash).0);
    client.ask(r#"{"command":"add-group-address","group":"tv","data":"10.0.0.2"}"#);
    client.ask(r#"{"command":"save-address-group","group":"tv"}"#);
    assert_eq!(flash.names(), ["address-groups.d/20-tv.conf"]);
    assert_eq!(members(&loaded(&flash).0, "tv"), ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn the_json_form_is_read_where_no_file_of_its_own_exists() {
    let flash = Flash::default();
    flash.put("address-groups.d/20-tv.conf", "10.0.0.1\n");
    flash.put(
        "address-groups.json",
        r#"{"address_groups":[{"name":"tv","ips":["10.0.0.8"]},{"name":"nas","ips":["10.0.0.9"]}]}"#,
    );
    let (agent, loaded) = loaded(&flash);
    assert_eq!((loaded.groups, loaded.problems.len()), (2, 1));
    assert_eq!(members(&agent, "tv"), ["10.0.0.1"]);
    let mut client = Client::new(agent);
    client.ask(r#"{"command":"save-address-group","group":"nas"}"#);
    assert!(flash.names().contains(&"address-groups.d/10-nas.conf".to_owned()));
}

#[test]
fn a_full_disk_is_an_answer_and_a_counter() {
    let (flash, bytes) = saved();
    let mut client = Client::new(loaded(&flash).0);
    client.ask(r#"{"command":"add-group-address","group":"printers","data":"10.0.0.2"}"#);
    *flash.broken.borrow_mut() = Some("no space left on device".into());
    let answer = client.ask(r#"{"command":"save-address-group","group":"printers"}"#);
    let expected = r#"{"code":500,"data":{"reason":"no space left on device"},"message":"Error saving group address(es)."}"#;
    assert_eq!(answer.trim_end(), expected);
    assert_eq!(client.agent.counters.persist_errors, 1);
    assert_eq!(flash.files.borrow()[FILE], bytes, "the old file is intact");
    assert!(!client.agent.groups.get("printers").unwrap().saved);
    *flash.broken.borrow_mut() = None;
    client.ask(r#"{"command":"save-address-group","group":"printers"}"#);
    assert_eq!(members(&loaded(&flash).0, "printers").len(), 4);
}

#[test]
fn what_is_saved_already_is_not_written_again() {
    let (flash, _) = saved();
    let mut client = Client::new(loaded(&flash).0);
    for _ in 0..3 {
        client.ask(r#"{"command":"save-address-group","group":"printers"}"#);
    }
    assert_eq!(*flash.writes.borrow(), 1);
    flash.files.borrow_mut().clear();
    client.ask(r#"{"command":"save-address-group","group":"printers"}"#);
    assert_eq!(flash.names(), [FILE], "somebody had deleted it");
}

#[test]
fn flushing_deletes_every_file_of_the_group_alone() {
    let (flash, _) = saved();
    flash.put("address-groups.d/20-printers.conf", "10.0.0.1\n");
    flash.put("address-groups.d/20-printers2.conf", "10.0.0.1\n");
    let (agent, loaded) = loaded(&flash);
    assert_eq!(loaded.problems.len(), 1, "shadowed: {:?}", loaded.problems);
    assert_eq!(members(&agent, "printers"), ["10.0.0.1"]);
    let mut client = Client::new(agent);
    let flush = r#"{"command":"flush-address-group","group":"printers"}"#;
    assert_eq!(client.ask(flush), "{\"code\":100,\"message\":\"Ok.\"}\n");
    assert_eq!(flash.names(), ["address-groups.d/20-printers2.conf"]);
    assert_eq!(client.ask(flush), "{\"code\":500,\"message\":\"Group not found.\"}\n");
}

#[test]
fn loading_replaces_memory_or_says_why_not() {
    let (flash, bytes) = saved();
    let mut client = Client::new(flash.agent());
    let load = r#"{"command":"load-address-group","group":"printers"}"#;
    client.ask(r#"{"command":"add-group-address","group":"printers","data":"10.7.7.7"}"#);
    assert_eq!(client.ask(load), "{\"code\":100,\"message\":\"Loaded group address(es).\"}\n");
    assert_eq!(members(&client.agent, "printers").len(), 3);
    flash.put(FILE, "# nothing here\nlocalhost\n");
    assert!(client.ask(load).contains("\"message\":\"Error loading group address(es).\""));
    flash.put(FILE, &bytes[..20]);
    assert!(client.ask(load).contains("\"message\":\"Error loading group address(es).\""));
    assert_eq!(members(&client.agent, "printers").len(), 3, "memory is as it was");
    assert_eq!(flash.names(), [format!("{FILE}.bad")]);
    let answer = client.ask(load);
    assert_eq!(answer, "{\"code\":500,\"message\":\"No group filename assigned.\"}\n");
    let answer = client.ask(r#"{"command":"load-address-group","group":"nobody"}"#);
    assert_eq!(answer, "{\"code\":500,\"message\":\"Group not found.\"}\n");
}

#[test]
fn pages_over_all_groups_join_without_gap_or_repetition() {
    use portolan::core::agent::{Item, Reply};
    use portolan::core::auth::{Caller, Right};
    use portolan::core::command::{Command, Page};

    let mut agent = Flash::default().agent();
    for (group, count) in [("a", 5), ("b", 0), ("c", 1), ("d", 9)] {
        agent.groups.create(group).unwrap();
        for n in 0..count {
            let entry = portolan::group::Entry::parse(&format!("10.0.0.{n}")).unwrap();
            agent.groups.add(group, &[entry]).unwrap();
        }
    }
    for rows in 1..=16 {
        for slice in 1..=4 {
            let (mut all, mut after, mut pages) = (Vec::new(), 0, 0);
            loop {
                let command = Command::GroupMembers { group: None, page: Page { after, rows } };
                let caller = Caller { right: Right::Read };
                let Ok(Reply::Rows(mut cursor)) = agent.run(command, &caller) else { panic!() };
                let mut page = Vec::new();
                while agent.rows(&mut cursor, slice, &mut page) {}
                assert!(page.len() <= rows);
                all.extend(page.into_iter().map(|item| match item {
                    Item::Row(row) => format!("{:?}", row.iter().collect::<Vec<_>>()),
                    Item::Flow(_) => panic!("a flow among addresses"),
                }));
                pages += 1;
                match cursor.next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            let mut once = all.clone();
            once.dedup();
            assert_eq!((all.len(), once.len()), (15, 15), "{rows} rows, slices of {slice}");
            assert_eq!(pages, 15_usize.div_ceil(rows));
        }
    }
}
