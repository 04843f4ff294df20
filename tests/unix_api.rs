//! The Unix-socket front-end as its clients meet it: bytes in, bytes out, cut anywhere.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

mod support;

use portolan::api::{Connection, Outbox};
use portolan::core::bus::{Event, MAX_QUEUED};
use proptest::prelude::*;
use serde_json::Value;

use support::{Client, Flash};

const OK: &str = "{\"code\":100,\"message\":\"Ok.\"}\n";

fn client() -> Client {
    Client::new(Flash::default().agent())
}

/// The code and the message of each answer.
fn codes(answers: &str) -> Vec<(u64, String)> {
    let code = |line: &str| {
        let answer: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        (answer["code"].as_u64().unwrap(), answer["message"].as_str().unwrap().to_owned())
    };
    answers.lines().map(code).collect()
}

/// What a fresh agent answers to bytes that come in pieces which end at `cuts`, and whether it
/// closed before the client did.
fn answers(bytes: &[u8], cuts: &[usize]) -> (String, bool) {
    let mut client = client();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut from = 0;
    for cut in cuts {
        client.send(&bytes[from..cut]);
        from = cut;
    }
    client.send(&bytes[from..]);
    let closed = client.closed;
    client.finish();
    assert!(client.closed, "all is said after the client has closed its side");
    (client.take(), closed)
}

/// What `nc -NU` would print, the same for every single cut.
fn nc(text: impl AsRef<[u8]>) -> String {
    let bytes = text.as_ref();
    let (whole, _) = answers(bytes, &[]);
    for cut in 0..=bytes.len() {
        assert_eq!(answers(bytes, &[cut]).0, whole, "cut at {cut}");
    }
    let every: Vec<usize> = (0..=bytes.len()).collect();
    assert_eq!(answers(bytes, &every).0, whole, "octet by octet");
    whole
}

mod the_document {
    use super::*;

    #[test]
    fn the_interactive_session_works_as_printed() {
        let answer = nc(
            "{ \"command\": \"add-group-address\", \"group\": \"games\", \"data\": \"23.62.104.113\" }\n",
        );
        assert_eq!(
            answer,
            "{\"code\":100,\"data\":{\"errors\":0,\"total\":1},\"message\":\"Ok.\"}\n"
        );
    }

    #[test]
    fn requests_over_many_lines_work_as_printed() {
        let answer = nc(r#"{
    "command": "add-group-address",
    "group": "printers",
    "data": "192.168.1.100"
}
{
    "command": "add-group-address",
    "group": "printers",
    "data": [
        "10.0.0.101",
        "10.0.0.220"
    ]
}
{
    "command": "remove-group-address",
    "group": "printers",
    "data": "192.168.1.100"
}
{
    "command": "remove-group-address",
    "group": "printers",
    "data": [
        "10.0.0.101",
        "10.0.0.220"
    ]
}
{
    "command": "save-address-group",
    "group": "printers"
}
{
    "command": "flush-group-addresses",
    "group": "printers"
}
"#);
        let counts = |total| {
            format!(
                "{{\"code\":100,\"data\":{{\"errors\":0,\"total\":{total}}},\"message\":\"Ok.\"}}\n"
            )
        };
        let saved = "{\"code\":100,\"message\":\"Saved group address(es).\"}\n";
        let expected = [&counts(1), &counts(2), &counts(1), &counts(2), saved, OK].concat();
        assert_eq!(answer, expected);
    }

    #[test]
    fn the_script_for_an_ipset_works_as_printed() {
        let payload = concat!(
            r#"{"command": "add-group-address", "group": "printers", "data": "#,
            r#"["192.168.1.10","192.168.1.11","10.8.0.0/24","2001:db8::5","00:11:22:33:44:55"]}"#,
            "\n"
        );
        let answer = nc(payload);
        assert_eq!(
            answer,
            "{\"code\":100,\"data\":{\"errors\":0,\"total\":5},\"message\":\"Ok.\"}\n"
        );
    }

    #[test]
    fn indented_answers_are_the_documents() {
        let answer =
            nc(r#"{"command":"add-group-address","group":"g","data":"10.0.0.1","pretty":true}"#);
        let expected = r#"{
    "code": 100,
    "data": {
        "errors": 0,
        "total": 1
    },
    "message": "Ok."
}
"#;
        assert_eq!(answer, expected);
    }
}

mod groups {
    use super::*;

    #[test]
    fn entries_of_any_kind_are_counted_and_wrong_ones_are_errors() {
        let mut client = client();
        let add =
            |data: &str| format!(r#"{{"command":"add-group-address","group":"g","data":{data}}}"#);
        let answer = client.ask(&add(r#"["10.0.0.1",7,null,["10.0.0.2"],{"a":1},"bad",true]"#));
        assert!(answer.contains(r#""data":{"errors":6,"total":7}"#), "{answer}");
        for again in [r#""10.0.0.1""#, r#"["10.0.0.1","10.0.0.1/32"]"#, "[]"] {
            assert!(client.ask(&add(again)).contains(r#""errors":0"#), "adding again is fine");
        }
        for wrong in ["7", "null", "true", "{}"] {
            assert_eq!(codes(&client.ask(&add(wrong))), [(500, "Invalid data.".into())]);
        }
        let without = client.ask(r#"{"command":"add-group-address","group":"g"}"#);
        assert_eq!(codes(&without), [(500, "Invalid data.".into())]);
        assert_eq!(client.agent.groups.entries(), 1);
    }

    #[test]
    fn removal_is_exact_and_what_is_absent_is_an_error() {
        let mut client = client();
        client.ask(
            r#"{"command":"add-group-address","group":"g","data":["10.0.0.0/8","10.1.2.0/24"]}"#,
        );
        let answer = client.ask(
            r#"{"command":"Delete-Group-Address","data":["10.1.0.0/16","10.1.2.0/24"],"group":"g"}"#,
        );
        assert!(answer.contains(r#""data":{"errors":1,"total":2}"#), "{answer}");
        let answer = client
            .ask(r#"{"command":"remove-group-address","group":"nobody","data":["10.0.0.1",1]}"#);
        assert!(answer.contains(r#""data":{"errors":2,"total":2}"#), "{answer}");
        client.ask(r#"{"command":"remove-group-address","group":"g","data":"10.0.0.0/8"}"#);
        let answer = client.ask(r#"{"command":"list-address-groups"}"#);
        let expected = r#"{"code":100,"data":{"groups":[{"name":"g","total":0,"saved":false}],"total":1},"message":"Ok."}"#;
        assert_eq!(answer.trim_end(), expected, "an emptied group stays");
    }

    #[test]
    fn members_are_listed_and_addresses_looked_up() {
        let mut client = client();
        client.ask(r#"{"command":"add-group-address","group":"b","data":["10.0.0.0/8"]}"#);
        client.ask(r#"{"command":"add-group-address","group":"a","data":["10.0.0.1","::1"]}"#);
        let answer = client.ask(r#"{"command":"list-address-groups","group":"a"}"#);
        let expected = r#"{"code":100,"data":{"group":"a","saved":false,"addresses":["10.0.0.1","::1"],"total":2},"message":"Ok."}"#;
        assert_eq!(answer.trim_end(), expected);
        let answer = client
            .ask(r#"{"command":"lookup-group-address","data":["10.0.0.1","10.0.0.2","::2","x"]}"#);
        let expected = r#"{"code":100,"data":{"errors":1,"total":4,"matches":{"10.0.0.1":["a","b"],"10.0.0.2":["b"],"::2":[]}},"message":"Ok."}"#;
        assert_eq!(answer.trim_end(), expected);
        let answer =
            client.ask(r#"{"command":"lookup-group-address","data":"10.0.0.1","group":"a"}"#);
        assert!(answer.contains(r#"{"10.0.0.1":["a"]}"#), "{answer}");
    }

    #[test]
    fn the_refusals_have_their_codes_and_texts() {
        for (request, code, message) in [
            (r#"{}"#, 500, "No command specified."),
            (r#"{"command":null}"#, 500, "No command specified."),
            (r#"{"command":"nonsense"}"#, 501, "invalid command"),
            (r#"{"command":""}"#, 501, "invalid command"),
            (r#"{"command":7}"#, 501, "invalid command"),
            (r#"{"command":["status"]}"#, 501, "invalid command"),
            (r#"{"command":"add-group-address","data":"::1"}"#, 500, "No group specified."),
            (r#"{"command":"save-address-group","group":null}"#, 500, "No group specified."),
            (r#"{"command":"save-address-group","group":5}"#, 500, "Invalid group name."),
            (r#"{"command":"save-address-group","group":["a"]}"#, 500, "Invalid group name."),
            (r#"{"command":"save-address-group","group":"x"}"#, 500, "Group not found."),
            (r#"{"command":"load-address-group","group":"x"}"#, 500, "Group not found."),
            (r#"{"command":"flush-address-group","group":"x"}"#, 500, "Group not found."),
            (r#"{"command":"list-address-groups","group":"x"}"#, 500, "Group not found."),
            (r#"{"command":"subscribe","data":7}"#, 500, "Invalid data."),
            (
                r#"{"command":"list-flows","port":"70000"}"#,
                501,
                "invalid port: expected a port from 0 to 65535",
            ),
            (
                r#"{"command":"list-flows","port":[1]}"#,
                501,
                "invalid port: expected a single value",
            ),
            (
                r#"{"command":"verbose","level":"loud"}"#,
                501,
                "invalid level: expected a level from 0 (errors) to 4 (debug)",
            ),
        ] {
            assert_eq!(codes(&nc(request)), [(code, message.to_owned())], "{request}");
        }
    }

    #[test]
    fn limits_are_told_and_change_nothing() {
        let mut client = client();
        for n in 0..256 {
            let request = format!(r#"{{"command":"add-group-address","group":"g{n}","data":[]}}"#);
            assert_eq!(codes(&client.ask(&request))[0].0, 100);
        }
        let one_more = r#"{"command":"add-group-address","group":"more","data":"::1"}"#;
        assert_eq!(codes(&client.ask(one_more)), [(505, "Limit reached.".into())]);
        let addresses = |from: u32, to: u32| {
            let texts: Vec<String> = (from..to)
                .map(|n| format!("\"10.{}.{}.{}\"", n >> 16, n >> 8 & 255, n & 255))
                .collect();
            let texts = texts.join(",");
            format!(r#"{{"command":"add-group-address","group":"g1","data":[{texts}]}}"#)
        };
        assert_eq!(codes(&client.ask(&addresses(0, 40_000)))[0].0, 100);
        assert_eq!(codes(&client.ask(&addresses(39_000, 65_537)))[0].0, 505);
        assert_eq!(client.agent.groups.entries(), 40_000);
        assert_eq!(codes(&client.ask(&addresses(40_000, 65_536)))[0].0, 100);
        assert_eq!(codes(&client.ask(&addresses(65_536, 65_537)))[0].0, 505);
        assert_eq!(codes(&client.ask(&addresses(0, 5)))[0].0, 100, "they are there already");
    }

    #[test]
    fn names_never_leave_the_folder() {
        let flash = Flash::default();
        let mut client = Client::new(flash.agent());
        let long = "x".repeat(300);
        let names = [
            "../../etc/passwd",
            "..",
            ".",
            "",
            "a/b",
            "/etc/passwd",
            "a\\\\b",
            "a\\u0000b",
            "a\\nb",
            "p\\u0433inters",
            "\\u202epdf",
            ".hidden",
            "a b",
            "%2e%2e%2f",
            "~root",
            "$HOME",
            &long,
        ];
        for name in names {
            for command in [
                "add-group-address",
                "save-address-group",
                "load-address-group",
                "flush-group-addresses",
                "remove-group-address",
                "list-address-groups",
                "lookup-group-address",
            ] {
                let request =
                    format!(r#"{{"command":"{command}","group":"{name}","data":"10.0.0.1"}}"#);
                let answer = client.ask(&request);
                assert_eq!(codes(&answer), [(500, "Invalid group name.".into())], "{request}");
            }
        }
        for name in ["-rf", "CON", "Printers", "printers", "a..b", "x.conf"] {
            for command in ["add-group-address", "save-address-group"] {
                let request =
                    format!(r#"{{"command":"{command}","group":"{name}","data":"10.0.0.1"}}"#);
                assert_eq!(codes(&client.ask(&request))[0].0, 100, "{request}");
            }
        }
        let names = flash.names();
        assert_eq!(names.len(), 6, "{names:?}");
        for name in names {
            let file = name.strip_prefix("address-groups.d/10-").expect("inside the folder");
            assert!(file.ends_with(".conf") && !file.contains('/'), "{name}");
        }
    }
}

mod framing {
    use super::*;

    const LIST: &str = r#"{"command":"list-address-groups"}"#;
    const EMPTY: &str = "{\"code\":100,\"data\":{\"groups\":[],\"total\":0},\"message\":\"Ok.\"}\n";

    #[test]
    fn pipelined_requests_are_all_answered_in_order() {
        for between in ["", " ", "\n", "\r\n", "\n\n\t "] {
            let text = [LIST, r#"{"command":"nonsense"}"#, LIST].join(between);
            let answer = nc(&text);
            let expected = [EMPTY, "{\"code\":501,\"message\":\"invalid command\"}\n", EMPTY];
            assert_eq!(answer, expected.concat(), "{between:?}");
        }
    }

    #[test]
    fn a_long_pipeline_is_taken_a_few_at_a_time() {
        let mut client = client();
        let text = LIST.repeat(1_000);
        let (mut input, mut turns) = (text.as_bytes(), 0);
        while !input.is_empty() {
            let used = client
                .unix
                .receive(input, &mut client.agent, &mut client.out, Default::default())
                .unwrap();
            assert!(used <= 16 * LIST.len() && used > 0, "{used}");
            input = &input[used..];
            client.settle();
            turns += 1;
        }
        assert_eq!(turns, 63);
        assert_eq!(client.take(), EMPTY.repeat(1_000));
    }

    #[test]
    fn what_is_malformed_costs_its_line_and_no_more() {
        for wrong in [
            "nonsense",
            "[]",
            "42",
            "\"text\"",
            "null",
            "}",
            "{\"command\":status}",
            "{\"command\" \"status\"}",
            "{'command':'status'}",
            "{\"command\":\"status\",}",
            "{\"command\":\"sta\\qtus\"}",
            "{\"command\":\"status",
            "{\"command\":\"status\"]",
            "{\"a\":1,\"a\":2}",
            "{\"command\":\"status\",\"command\":\"status\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\udc00\\ud800\"}",
            "{\"a\":1e999}",
            "{\"a\":-}",
            "{\"a\":0x10}",
            "{\"a\":NaN}",
            "\u{feff}{\"command\":\"status\"}",
            "\0",
            "{\"command\":\"status\0\"}",
            "{\"command\":\"status\"\0}",
            "{} {\"command\":\u{feff}\"status\"} {}",
        ] {
            let answer = nc([wrong, "\n", LIST, "\n"].concat());
            let codes: Vec<u64> = codes(&answer).into_iter().map(|(code, _)| code).collect();
            let expected: &[u64] =
                if wrong.starts_with("{} ") { &[500, 501, 100] } else { &[501, 100] };
            assert_eq!(codes, expected, "{wrong:?}: {answer}");
        }
        for wrong in [b"{\"a\":\"\xff\"}\n".as_slice(), b"{\"\xc3\":1}\n", b"\x80\n"] {
            let answer = nc([wrong, LIST.as_bytes()].concat());
            let codes: Vec<u64> = codes(&answer).into_iter().map(|(code, _)| code).collect();
            assert_eq!(codes, [501, 100], "{wrong:?}");
        }
    }

    #[test]
    fn an_object_cut_off_by_the_end_is_told() {
        let answer = nc(format!("{LIST}{{\"command\":\"sta"));
        assert!(answer.starts_with(EMPTY), "{answer}");
        let rest = codes(&answer[EMPTY.len()..]);
        let expected = "parse error at position: 15, reason: unexpected end";
        assert_eq!(rest, [(501, expected.to_owned())]);
        assert_eq!(nc(" \n"), "");
        assert_eq!(nc(""), "");
    }

    #[test]
    fn nesting_to_any_depth_is_one_answer() {
        for text in [
            "[".repeat(100_000),
            "{\"a\":".repeat(100_000),
            "{\"a\":[".to_owned() + &"[".repeat(100_000),
        ] {
            let (answer, closed) = answers(text.as_bytes(), &[]);
            assert!(!closed && answer.lines().count() == 1 && answer.contains("501"), "{answer}");
        }
        let deep =
            |n: usize| format!("{{\"command\":\"x\",\"y\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert_eq!(codes(&answers(deep(31).as_bytes(), &[]).0), [(501, "invalid command".into())]);
        let message = "parse error at position: 50, reason: nested too deep";
        assert_eq!(codes(&answers(deep(32).as_bytes(), &[]).0), [(501, message.into())]);
    }

    #[test]
    fn a_request_without_end_is_told_and_closed_within_its_cap() {
        let mut client = client();
        client.send(b"{\"command\":\"");
        let chunk = [b'x'; 50_000];
        let mut sent = 0;
        while !client.closed && sent < 100_000_000 {
            client.send(&chunk);
            sent += chunk.len();
        }
        assert!(client.closed && sent <= 1_200_000, "{sent}");
        assert_eq!(client.take(), "{\"code\":503,\"message\":\"Request too large.\"}\n");
        assert!(client.most_kept <= 1024 * 1024);
    }

    #[test]
    fn a_malformed_line_without_end_is_passed_over_in_no_memory() {
        let mut client = client();
        client.send(b"x");
        let chunk = [b'['; 60_000];
        for _ in 0..1_700 {
            client.send(&chunk);
        }
        assert_eq!(client.most_kept, 0);
        let answer = client.ask(&format!("\n{LIST}\n"));
        assert_eq!(codes(&answer).len(), 2);
        assert!(answer.ends_with(EMPTY) && !client.closed);
    }

    #[test]
    fn the_largest_request_is_exactly_a_mebibyte() {
        for (size, closes) in [(1024 * 1024, false), (1024 * 1024 + 1, true)] {
            let pad = size - "{\"command\":\"help\",\"x\":\"\"}".len();
            let text = format!("{{\"command\":\"help\",\"x\":\"{}\"}}", "y".repeat(pad));
            for cuts in [&[][..], &[1_000_000], &[size - 1]] {
                let (answer, closed) = answers(text.as_bytes(), cuts);
                assert_eq!((answer.starts_with("{\"code\":503"), closed), (closes, closes));
            }
        }
    }

    #[test]
    fn a_million_members_are_refused_in_bounded_time() {
        let members: Vec<String> = (0..1_000_000).map(|n| format!("\"{n}\":0")).collect();
        let text = format!("{{{}}}\n", members.join(","));
        let (answer, closed) = answers(text.as_bytes(), &[]);
        assert!(closed && answer.starts_with("{\"code\":503"));
        let text = format!("{{{}}}\n{LIST}", members[..90_000].join(","));
        let (answer, closed) = answers(text.as_bytes(), &[]);
        assert!(!closed && answer.contains("too many members") && answer.ends_with(EMPTY));
    }

    #[test]
    fn a_mebibyte_octet_by_octet_is_looked_at_once() {
        let mut client = client();
        let text =
            format!("{{\"command\":\"list-address-groups\",\"x\":[{}0]}}", "0,".repeat(400_000));
        let mut given = 0;
        // The buffer is offered from the start each time; looking at all of it each time would
        // take hours.
        for end in 1..=text.len() {
            let all = &text.as_bytes()[given..end];
            let used = client
                .unix
                .receive(all, &mut client.agent, &mut client.out, Default::default())
                .unwrap();
            given += used;
        }
        client.settle();
        assert_eq!(client.take(), EMPTY);
    }

    #[test]
    fn numbers_of_any_size_are_values_or_errors() {
        let huge = "9".repeat(5_000);
        for number in ["18446744073709551616", "-1", "1.5", &huge] {
            let answer = nc_short(&format!(r#"{{"command":"list-flows","after":{number}}}"#));
            assert_ne!(codes(&answer)[0].0, 100, "{number}");
        }
        let answer = nc_short(&format!(r#"{{"command":"list-address-groups","x":{huge}}}"#));
        assert_eq!(codes(&answer).len(), 1);
    }

    fn nc_short(text: &str) -> String {
        answers(text.as_bytes(), &[3, 40]).0
    }
}

mod rows {
    use super::*;

    fn filled(members: u32) -> Client {
        let mut client = client();
        let texts: Vec<String> = (0..members)
            .map(|n| format!("\"10.{}.{}.{}\"", n >> 16, n >> 8 & 255, n & 255))
            .collect();
        let texts = texts.join(",");
        client.ask(&format!(r#"{{"command":"add-group-address","group":"g","data":[{texts}]}}"#));
        client
    }

    #[test]
    fn a_long_answer_waits_for_its_reader_and_requests_wait_for_it() {
        let mut client = filled(50_000);
        client.out = Outbox::new(16 * 1024);
        let requests = concat!(
            r#"{"command":"list-address-groups","group":"g"}"#,
            r#"{"command":"list-address-groups"}"#
        );
        let used = client
            .unix
            .receive(requests.as_bytes(), &mut client.agent, &mut client.out, Default::default())
            .unwrap();
        assert!(used < requests.len() && !client.unix.ready(&client.out));
        for _ in 0..100 {
            client.unix.produce(&mut client.agent, &mut client.out, Default::default());
        }
        assert!(client.out.pending().len() <= 16 * 1024, "nobody reads");
        client.settle();
        let answer = client.take();
        let value: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(value["data"]["addresses"].as_array().unwrap().len(), 50_000);
        assert_eq!(value["data"]["total"], 50_000);
        assert!(client.unix.ready(&client.out));
        assert!(client.ask(&requests[used..]).contains(r#""total":50000"#));
    }

    #[test]
    fn indented_rows_are_the_same_rows() {
        let mut client = filled(300);
        client.out = Outbox::new(2_000);
        let plain = client.ask(r#"{"command":"list-address-groups","group":"g"}"#);
        let pretty = client.ask(r#"{"command":"list-address-groups","group":"g","pretty":true}"#);
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(read(&plain), read(&pretty));
        assert!(
            pretty.contains("\n        \"addresses\": [\n            \"10.0.0.0\",\n"),
            "{pretty}"
        );
    }

    #[test]
    fn after_half_close_everything_is_still_answered() {
        let mut client = filled(10_000);
        let list = r#"{"command":"list-address-groups","group":"g"}"#;
        client.unix.finish(
            list.repeat(40).as_bytes(),
            &mut client.agent,
            &mut client.out,
            Default::default(),
        );
        client.settle();
        let answers = client.take();
        assert_eq!(answers.lines().count(), 40);
        for answer in answers.lines() {
            let value: Value = serde_json::from_str(answer).unwrap();
            assert_eq!(value["data"]["total"], 10_000);
        }
        assert!(client.closed);
    }

    #[test]
    fn an_answer_that_can_never_fit_is_told_as_such() {
        let mut client = client();
        client.out = Outbox::new(200);
        let answer = client.ask(r#"{"command":"help"}"#);
        assert_eq!(answer, "{\"code\":505,\"message\":\"Limit reached.\"}\n");
        assert!(client.ask(r#"{"command":"nonsense"}"#).contains("invalid command"));
    }

    #[test]
    fn the_widest_lookup_stays_within_the_output() {
        let mut client = client();
        for n in 0..200 {
            let name = format!("{n:0>64}");
            client.ask(&format!(
                r#"{{"command":"add-group-address","group":"{name}","data":["0.0.0.0/0"]}}"#
            ));
        }
        let ask = |n: u32| {
            let texts: Vec<String> =
                (0..n).map(|n| format!("\"10.0.{}.{}\"", n >> 8, n & 255)).collect();
            let texts = texts.join(",");
            format!(r#"{{"command":"lookup-group-address","data":[{texts}],"pretty":true}}"#)
        };
        let answer = client.ask(&ask(20));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["data"]["matches"].as_object().unwrap().len(), 20);
        assert!(client.ask(&ask(4_000)).contains("\"code\": 505"));
        client.agent.groups.flush(&format!("{:0>64}", 0));
        client.ask(r#"{"command":"add-group-address","group":"a","data":["::/0"]}"#);
        let v6: Vec<String> = (0..4_096)
            .map(|n| format!("\"1111:2222:3333:4444:5555:6666:7777:{:x}\"", n + 4_096))
            .collect();
        let v6 = v6.join(",");
        let answer = client
            .ask(&format!(r#"{{"command":"lookup-group-address","data":[{v6}],"pretty":true}}"#));
        assert!(answer.len() < 1024 * 1024 && answer.contains("\"total\": 4096"));
    }

    #[test]
    fn help_names_every_command() {
        let answer = nc(r#"{"command":"HELP"}"#);
        let value: Value = serde_json::from_str(&answer).unwrap();
        let commands = value["data"]["commands"].as_array().unwrap();
        let known: Vec<&str> = portolan::core::command::TABLE
            .iter()
            .filter_map(|entry| entry.unix.first().copied())
            .collect();
        let told: Vec<&str> =
            commands.iter().map(|command| command["command"].as_str().unwrap()).collect();
        assert_eq!(told, known);
        assert!(commands.iter().all(|command| command["help"].is_string()));
    }
}

mod subscriptions {
    use super::*;

    fn test(text: &str) -> Event {
        Event::Test(text.into())
    }

    #[test]
    fn events_follow_the_answer_and_the_snapshot() {
        let mut client = client();
        let answer = client.ask(r#"{"command":"subscribe","data":["flow","test"]}"#);
        let expected = "{\"code\":100,\"data\":{\"topics\":[\"test\",\"flow\"]},\"message\":\"Ok.\"}\n\
                        {\"type\":\"snapshot\",\"flows\":0}\n";
        assert_eq!(answer, expected);
        assert!(client.unix.streams());
        client.agent.bus.publish(&test("a\"\n"));
        client.agent.bus.publish(&Event::Alert { kind: "kernel_drops", count: 3 });
        client.settle();
        assert_eq!(client.take(), "{\"type\":\"test\",\"test\":\"a\\\"\\n\"}\n");
        assert!(client.ask(r#"{"command":"nonsense"}"#).contains("invalid command"));
        client.unix.closed(&mut client.agent);
        assert!(client.agent.bus.is_empty());
    }

    #[test]
    fn a_slow_reader_is_told_how_many_it_lost() {
        let mut client = client();
        client.ask(r#"{"command":"subscribe","data":"test"}"#);
        for n in 0..MAX_QUEUED + 7 {
            client.agent.bus.publish(&test(&n.to_string()));
        }
        client.settle();
        let lines = client.take();
        assert!(lines.starts_with("{\"type\":\"dropped\",\"count\":7}\n"), "{lines}");
        assert_eq!(lines.lines().count(), MAX_QUEUED + 1);
        client.agent.bus.publish(&test("after"));
        client.settle();
        assert_eq!(client.take(), "{\"type\":\"test\",\"test\":\"after\"}\n");
    }

    #[test]
    fn a_reader_that_stopped_holds_no_more_than_its_box() {
        let mut client = client();
        client.out = Outbox::new(8 * 1024);
        client.ask(r#"{"command":"subscribe","data":"test"}"#);
        for n in 0..5_000 {
            client.agent.bus.publish(&test(&n.to_string()));
            client.unix.produce(&mut client.agent, &mut client.out, Default::default());
        }
        assert!(client.out.pending().len() <= 8 * 1024);
        client.settle();
        let lines = client.take();
        let told: usize = lines.lines().filter(|line| line.contains("\"test\"")).count();
        let lost: u64 = lines
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).unwrap()["count"].as_u64())
            .sum();
        assert_eq!(told as u64 + lost, 5_000, "each event is told or counted");
    }

    #[test]
    fn a_subscriber_that_half_closed_goes_on_listening() {
        let mut client = client();
        client.send(br#"{"command":"subscribe","data":["test"]}"#);
        client.finish();
        assert!(!client.closed);
        client.agent.bus.publish(&test("x"));
        client.settle();
        assert!(client.take().ends_with("{\"type\":\"test\",\"test\":\"x\"}\n"));
    }

    #[test]
    fn subscribing_again_replaces_and_wrong_topics_change_nothing() {
        let mut client = client();
        client.ask(r#"{"command":"subscribe","data":"test"}"#);
        client.ask(r#"{"command":"subscribe","data":["alert"]}"#);
        assert_eq!(client.agent.bus.len(), 1);
        for wrong in [r#"["nonsense"]"#, r#"["test",7]"#, "[]", "{}"] {
            let answer = client.ask(&format!(r#"{{"command":"subscribe","data":{wrong}}}"#));
            assert!(codes(&answer)[0].0 >= 500, "{answer}");
        }
        let answer = client.ask(r#"{"command":"subscribe","host":"10.0.0.0/40"}"#);
        assert!(answer.contains("invalid host"), "{answer}");
        client.agent.bus.publish(&test("no"));
        client.agent.bus.publish(&Event::Alert { kind: "kernel_drops", count: 3 });
        client.settle();
        let alert = "{\"type\":\"alert\",\"kind\":\"kernel_drops\",\"count\":3}\n";
        assert_eq!(client.take(), alert);
    }
}

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = Vec::from([
        b"{\"command\":\"add-group-address\",\"group\":\"g\",\"data\":[\"10.0.0.1\",7]}".as_slice(),
        b"{\"command\":\"remove-group-address\",\"group\":\"g\",\"data\":\"10.0.0.1\"}",
        b"{\"command\":\"list-address-groups\",\"group\":\"g\",\"pretty\":true}",
        b"{\"command\":\"save-address-group\",\n \"group\":\"g\"}",
        b"{\"command\":\"flush-group-addresses\",\"group\":\"g\"}",
        b"{\"command\":\"subscribe\",\"data\":\"",
        b"{\"command\":\"list-address-groups\"}",
        b"{\"command\":",
        b"{\"a\":[",
        b"\"x\\",
        b"\\u12",
        b"\n",
        b" ",
        b"}",
        b"]",
        b",",
        b"\"",
        b"-0.",
        b"tru",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xff",
    ]);
    prop_oneof![
        6 => proptest::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_bytes_get_the_same_answers_however_they_are_cut(
        fragments in proptest::collection::vec(fragment(), 0..30),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
    ) {
        let bytes = fragments.concat();
        let whole = answers(&bytes, &[]);
        prop_assert_eq!(&answers(&bytes, &cuts), &whole);
        let every: Vec<usize> = (0..=bytes.len()).collect();
        prop_assert_eq!(&answers(&bytes, &every), &whole);
    }
}
