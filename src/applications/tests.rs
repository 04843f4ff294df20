use std::net::IpAddr;

use super::{Applications, Builder};
use crate::detect::Category;

const RULES: &str = "\
# remarks
app 20001 video streaming
dom video.example
dom cdn.example   # shared
net 192.0.2.0/24
net 2001:db8:1::/48
port udp/4444
alias old-video

app 20002 video-ads ads
dom ads.video.example
net 192.0.2.128/25
  port tcp/4444
expr other_port == 99 && detected_hostname == 'rx:#'
";

fn applications(text: &str) -> Applications {
    let mut builder = Builder::default();
    builder.read(text).unwrap();
    builder.finish()
}

#[test]
fn the_longest_suffix_and_prefix_win() {
    let all = applications(RULES);
    for (host, id) in [
        ("video.example", Some(20_001)),
        ("www.VIDEO.example.", Some(20_001)),
        ("x.y.ads.video.example", Some(20_002)),
        ("ads.video.example", Some(20_002)),
        ("notvideo.example", None),
        ("example", None),
        ("", None),
        (".", None),
        ("a..video.example", Some(20_001)),
        ("cdn.example", Some(20_001)),
    ] {
        assert_eq!(all.of_name(host), id, "{host}");
    }
    let of = |text: &str| all.of_address(text.parse::<IpAddr>().unwrap());
    assert_eq!(of("192.0.2.1"), Some(20_001));
    assert_eq!(of("192.0.2.200"), Some(20_002));
    assert_eq!(of("198.51.100.1"), None);
    assert_eq!(of("2001:db8:1::9"), Some(20_001));
    assert_eq!((all.of_port(17, 4_444), all.of_port(6, 4_444)), (Some(20_001), Some(20_002)));
    assert_eq!(all.of_port(6, 443), None);
    assert_eq!(all.get(20_001).map(|a| a.category), Some(Category::Streaming));
    assert_eq!(all.by_tag("OLD-video").map(|a| a.id), Some(20_001));
    assert_eq!(all.by_tag("video-ads").map(|a| a.id), Some(20_002));
    assert_eq!(all.counts(), [2, 3, 3, 2, 1]);
}

#[test]
fn a_later_file_goes_on_with_an_application() {
    let mut builder = Builder::default();
    builder.read(RULES).unwrap();
    builder.read("app 20001 video\ndom more.example\napp 30000 mine\ndom cdn.example\n").unwrap();
    let all = builder.finish();
    assert_eq!(all.of_name("a.more.example"), Some(20_001));
    assert_eq!(all.of_name("cdn.example"), Some(30_000), "the later file counts");
    assert_eq!(all.get(20_001).map(|a| a.category), Some(Category::Streaming));
}

#[test]
fn what_is_wrong_is_said_with_line_and_column() {
    for (text, line, column, part) in [
        ("dom example.com", 1, 1, "an app line comes first"),
        ("app", 1, 4, "a number is missing"),
        ("app x y", 1, 5, "20000 to 59999"),
        ("app 19999 y", 1, 5, "20000 to 59999"),
        ("app 20001", 1, 10, "a tag is missing"),
        ("app 20001 Video", 1, 11, "a-z"),
        ("app 20001 video films", 1, 17, "no category \"films\""),
        ("app 20001 video streaming x", 1, 27, "nothing more"),
        ("app 20001 a\napp 20001 b", 2, 11, "a is 20001 already"),
        ("app 20001 a\napp 20002 a", 2, 11, "a is 20001 already"),
        ("app 20001 a\ndom", 2, 4, "dom wants a value"),
        ("app 20001 a\ndom a b", 2, 7, "nothing more"),
        ("app 20001 a\ndom .example", 2, 5, "a suffix"),
        ("app 20001 a\ndom ex ample", 2, 8, "nothing more"),
        ("app 20001 a\ndom b\u{fc}cher.example", 2, 5, "a suffix"),
        ("app 20001 a\nnet 10.0.0.0/33", 2, 5, "a network"),
        ("app 20001 a\nport 443", 2, 6, "a port"),
        ("app 20001 a\nport tcp/0", 2, 6, "a port"),
        ("app 20001 a\nport icmp/1", 2, 6, "a port"),
        ("app 20001 a\ndomain example.com", 2, 1, "no rule \"domain\""),
        ("app 20001 a\n  expr other_port = 3", 2, 19, "ends here"),
        ("app 20001 a\nexpr", 2, 5, "expr wants a value"),
        ("app 20001 a\nexpr port == 1 && app == b", 2, 6, "application cannot be asked"),
        ("app 20001 a\nexpr local_ip == @kids", 2, 6, "local_ip cannot be asked"),
        ("app 20001 a\nexpr ip_nat", 2, 6, "ip_nat cannot be asked"),
    ] {
        let error = Builder::default().read(text).expect_err(text);
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
        assert!(error.problem.contains(part), "{text}: {error}");
    }
}

#[test]
fn ten_thousand_suffixes_stay_small() {
    let mut text = String::from("app 20001 a\n");
    for n in 0..10_000 {
        text.push_str(&format!("dom s{n}.some-name.example\n"));
    }
    let all = applications(&text);
    assert_eq!(all.of_name("www.s77.some-name.example"), Some(20_001));
    assert!(all.domains.octets() <= 400_000, "{}", all.domains.octets());
}
