use std::net::IpAddr;

use super::{ALL, Attribute, Expression, Given, Subject, lies_in};

/// A flow to NetFlix.
struct Flow;

impl Subject for Flow {
    fn any(&self, attribute: Attribute, test: &mut dyn FnMut(Given<'_>) -> bool) -> bool {
        let local: IpAddr = "192.168.1.20".parse().unwrap();
        let other: IpAddr = "2001:db8::7".parse().unwrap();
        match attribute {
            Attribute::Application => test(Given::Number(20_101)) || test(Given::Text("netflix")),
            Attribute::Protocol => test(Given::Number(196)) || test(Given::Text("HTTP/S")),
            Attribute::Category => test(Given::Text("streaming")) || test(Given::Text("web")),
            Attribute::DetectedHostname => test(Given::Text("api.Netflix.com")),
            Attribute::LocalIp => test(Given::Ip(local)),
            Attribute::OtherIp => test(Given::Ip(other)),
            Attribute::Ip => test(Given::Ip(local)) || test(Given::Ip(other)),
            Attribute::LocalMac => test(Given::Mac([2, 0, 0, 0, 0, 1])),
            Attribute::LocalPort => test(Given::Number(50_000)),
            Attribute::OtherPort => test(Given::Number(443)),
            Attribute::TlsVersion => test(Given::Number(0x0304)),
            Attribute::OtherType => test(Given::Text("remote")),
            Attribute::Guessed => test(Given::Number(0)),
            Attribute::Complete => test(Given::Number(1)),
            _ => false,
        }
    }

    fn in_group(&self, attribute: Attribute, group: &str) -> bool {
        attribute == Attribute::LocalIp && group == "kids"
    }
}

fn holds(text: &str) -> bool {
    Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).matches(&Flow)
}

#[test]
fn what_holds_of_a_flow() {
    for text in [
        "*",
        "app == 'netflix'",
        "app == 'netify.netflix'",
        "application == NetFlix",
        "app == 20101",
        "app == 0x4e85",
        "ai:netflix",
        "ai:20101;",
        "!pi:DNS",
        "pi:HTTP/S",
        "app != 'youtube'",
        "protocol == 'http/s' && other_port == 443",
        "category == web and category == streaming",
        "category != news",
        "detected_hostname == 'API.netflix.com'",
        "detected_hostname == 'rx:^api\\.'",
        "detected_hostname == 'rx:flix'",
        "app == 'rx:^net'",
        "local_ip == 192.168.1.20",
        "local_ip == 192.168.0.0/16",
        "other_ip == 2001:db8::/32",
        "ip == 192.168.1.0/24 && ip == 2001:db8::7",
        "local_ip != 10.0.0.0/8",
        "local_ip == @kids",
        "other_ip != @kids",
        "local_mac == 02:00:00:00:00:01",
        "local_mac == 02-00-00-00-00-01",
        "local_port > 1024 && local_port <= 50000",
        "other_port >= 443 and other_port < 444",
        "ssl_version == 0x0304",
        "other_type == other_remote",
        "other_type == remote",
        "detection_complete",
        "detection_complete == true",
        "detection_guessed == false",
        "!detection_guessed",
        "detection_complete != FALSE",
        "application",
        "!(app == youtube || app == hulu)",
        "app == youtube || app == netflix && other_port == 443",
        "(app == netflix || app == hulu) && !(other_port == 80)",
        "not app == youtube",
        "app == youtube; app == netflix",
        "  app=='netflix'&&other_port==443  ",
    ] {
        assert!(holds(text), "{text}");
    }
}

#[test]
fn what_does_not_hold_of_a_flow() {
    for text in [
        "!*",
        "app == 'netfli'",
        "app == 1",
        "!ai:netflix",
        "detected_hostname == 'netflix.com'",
        "local_ip == 2001:db8::7",
        "local_ip == @guests",
        "local_ip != @kids",
        "dns_hostname",
        "dns_hostname == ''",
        "other_port > 443",
        "detection_complete == false",
        "app == netflix; app == youtube",
        // `!` binds tighter than `&&`, and that tighter than `||`.
        "!app == netflix || app == youtube && other_port == 443",
        "other_type != remote",
    ] {
        assert!(!holds(text), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, at, part) in [
        ("", 0, "nothing is asked"),
        ("  ;", 3, "nothing is asked"),
        ("apple == 1", 0, "no attribute \"apple\""),
        ("app = 'x'", 4, "ends here"),
        ("app ==", 6, "a value is missing"),
        ("app == 'netflix", 7, "a quote is missing"),
        ("(app == x", 9, "a parenthesis is missing"),
        ("app == x)", 8, "ends here"),
        ("app == x y", 9, "ends here"),
        ("app == x &&", 11, "an attribute is missing"),
        ("local_port == http", 14, "is a number, not \"http\""),
        ("local_port == -1", 14, "is a number"),
        ("local_ip == 300.1.1.1", 12, "an address"),
        ("local_ip == 10.0.0.0/33", 12, "an address"),
        ("local_ip == 'kids'", 12, "an address"),
        ("local_port == @kids", 14, "not an address"),
        ("local_ip == @../x", 12, "@NAME"),
        ("local_ip > 10.0.0.1", 11, "has no order"),
        ("app > 3", 6, "has no order"),
        ("detection_guessed == perhaps", 21, "true or false"),
        ("other_type == other_planet", 14, "one of unknown"),
        ("local_mac == 02:00", 13, "a MAC"),
        ("detected_hostname == 'rx:('", 21, "not a regular expression"),
        ("ai:", 0, "a tag or a number is missing"),
    ] {
        let error = Expression::parse(text).expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.problem.contains(part), "{text}: {error}");
    }
    let deep = format!("{}app{}", "(".repeat(40), ")".repeat(40));
    assert!(Expression::parse(&deep).unwrap_err().problem.contains("too many parentheses"));
    let deep = format!("{}app", "!".repeat(3_000));
    assert!(Expression::parse(&deep).unwrap_err().problem.contains("too many parentheses"));
    assert!(Expression::parse(&"app||".repeat(1_000)).is_err());
}

#[test]
fn a_long_chain_of_tests_is_no_deep_tree_to_the_reader() {
    let text = vec!["app == x"; 300].join("||");
    assert!(!holds(&text));
}

#[test]
fn every_name_leads_to_its_attribute() {
    for (attribute, names, about) in ALL {
        for name in *names {
            assert_eq!(Attribute::parse(name), Some(*attribute), "{name}");
            assert_eq!(Attribute::parse(&name.to_uppercase()), Some(*attribute), "{name}");
        }
        assert_eq!(attribute.name(), names[0]);
        assert!(about.ends_with('.'));
    }
}

#[test]
fn networks_hold_their_addresses_alone() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    assert!(lies_in(ip("10.1.2.3"), ip("10.0.0.0"), 8));
    assert!(!lies_in(ip("11.1.2.3"), ip("10.0.0.0"), 8));
    assert!(lies_in(ip("11.1.2.3"), ip("0.0.0.0"), 0));
    assert!(lies_in(ip("::1"), ip("::"), 0));
    assert!(!lies_in(ip("::1"), ip("0.0.0.0"), 0));
    assert!(lies_in(ip("2001:db8::1"), ip("2001:db8::"), 127));
    assert!(!lies_in(ip("2001:db8::2"), ip("2001:db8::"), 127));
}
