//! The owner's rules of applications: what is wrong is told with its place, what is right counts.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use support::{Client, Flash};

const GOOD: &str = "app 30001 mine streaming\ndom example.org\n";
const WRONG: &str = "app 30002 other streaming\ndom example.net\nexpr other_prot == 3\n";
const PLACE: &str = "applications.d/20-mine.rules:3:6: there is no attribute";

/// What the agent calls a name's application.
fn application(client: &mut Client, name: &str) -> String {
    let ask = format!(r#"{{"command":"lookup","what":"{name}"}}"#);
    let answer: serde_json::Value = serde_json::from_str(&client.ask(&ask)).unwrap();
    let rows = answer["data"]["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["key"] == "application");
    row.map_or_else(String::new, |row| row["value"].as_str().unwrap().to_owned())
}

#[test]
fn at_start_a_wrong_file_is_left_out_and_the_others_count() {
    let flash = Flash::default();
    flash.put("applications.d/10-good.rules", GOOD);
    flash.put("applications.d/20-mine.rules", WRONG);
    flash.put("applications.d/30-binary.rules", [0xff, 0xfe]);
    flash.put("applications.d/notes.txt", "app is no rule here");
    let mut agent = flash.agent();
    let problems = agent.load_applications();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with(PLACE), "{problems:?}");
    assert!(problems[1].starts_with("applications.d/30-binary.rules: "), "{problems:?}");
    let mut client = Client::new(agent);
    assert_eq!(application(&mut client, "www.example.org"), "mine");
    assert_eq!(application(&mut client, "www.example.net"), "", "no half of a file");
    assert_eq!(application(&mut client, "www.netflix.com"), "netflix");
}

#[test]
fn a_reload_with_a_wrong_rule_is_refused_and_the_old_rules_stay() {
    let flash = Flash::default();
    flash.put("applications.d/20-mine.rules", GOOD);
    let mut agent = flash.agent();
    assert_eq!(agent.load_applications(), Vec::<String>::new());
    let mut client = Client::new(agent);
    flash.put("applications.d/20-mine.rules", WRONG);
    let answer = client.ask(r#"{"command":"reload"}"#);
    assert!(!answer.contains(r#""code":100"#) && answer.contains(PLACE), "{answer}");
    assert_eq!(application(&mut client, "www.example.org"), "mine");
    flash.put("applications.d/20-mine.rules", "app 30003 third web\ndom example.net\n");
    let answer = client.ask(r#"{"command":"reload"}"#);
    assert!(answer.contains(r#""code":100"#), "{answer}");
    assert_eq!(application(&mut client, "www.example.org"), "");
    assert_eq!(application(&mut client, "www.example.net"), "third");
}

#[test]
fn more_files_than_can_be_are_told_and_those_that_fit_count() {
    let flash = Flash::default();
    for n in 0..70_u16 {
        let rules = format!("app {} tag{n} web\ndom tag{n}.example\n", 30_000 + n);
        flash.put(&format!("applications.d/{n:02}.rules"), rules);
    }
    let mut agent = flash.agent();
    let problems = agent.load_applications();
    assert_eq!(problems.len(), 6, "{problems:?}");
    let mut client = Client::new(agent);
    assert_eq!(application(&mut client, "tag63.example"), "tag63");
    assert_eq!(application(&mut client, "tag64.example"), "");
}
