//! Names in files of this machine: leases of DHCP servers (dnsmasq's and odhcpd's), hosts(5) and
//! ethers(5). Whoever reads the files hands in their text; lines that are none of these are passed
//! over, as everybody who reads such files does.

use std::net::IpAddr;

use crate::wire::mac;

/// Entries taken of one file; the rest is passed over.
pub const MAX_ENTRIES: usize = 2_048;

/// A name with what it belongs to: an address, a device, or both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// The address.
    pub address: Option<IpAddr>,
    /// The hardware address.
    pub mac: Option<[u8; 6]>,
    /// The name, as the file has it.
    pub name: String,
}

/// Reads a file of leases, dnsmasq's or odhcpd's, told apart line by line.
pub fn leases(text: &str, into: &mut Vec<Named>) {
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().take(24).collect();
        match words.as_slice() {
            ["#", rest @ ..] => odhcpd(rest, into),
            // Expiry, hardware address (or number of an association), address, name, client.
            [expiry, owner, address, name, ..] if is_number(expiry) && *name != "*" => {
                let Ok(address) = address.parse() else { continue };
                add(into, Some(address), dnsmasq_mac(owner), name);
            }
            _ => {}
        }
        if into.len() >= MAX_ENTRIES {
            return;
        }
    }
}

/// Reads hosts(5) and ethers(5), told apart line by line. Of several names the first counts, which
/// is the full one.
pub fn hosts(text: &str, into: &mut Vec<Named>) {
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (Some(owner), Some(name)) = (words.next(), words.next()) else { continue };
        let address = owner.parse::<IpAddr>().ok();
        let hardware = mac::parse(owner);
        // The names that every machine has of itself tell nothing.
        let is_common = name == "localhost" || name.starts_with("ip6-");
        // In ethers(5) an address may stand for the name.
        let is_name = name.parse::<IpAddr>().is_err();
        if (address.is_some() || hardware.is_some()) && is_name && !is_common {
            add(into, address, hardware, name);
        }
        if into.len() >= MAX_ENTRIES {
            return;
        }
    }
}

/// A line of odhcpd's: interface, DUID (or hardware address), number of the association (`ipv4`),
/// name, expiry, number, length, then addresses with their prefixes.
fn odhcpd(words: &[&str], into: &mut Vec<Named>) {
    let [_interface, owner, _, name, expiry, _, _, addresses @ ..] = words else { return };
    let is_expiry = is_number(expiry.strip_prefix('-').unwrap_or(expiry));
    if *name == "-" || !is_expiry || !owner.bytes().all(|b| b.is_ascii_hexdigit()) {
        return;
    }
    let mac = duid_mac(owner);
    let addresses = addresses.iter().filter_map(|text| text.split('/').next()?.parse().ok());
    for address in addresses.take(8) {
        add(into, Some(address), mac, name);
    }
}

fn add(into: &mut Vec<Named>, address: Option<IpAddr>, mac: Option<[u8; 6]>, name: &str) {
    if into.len() < MAX_ENTRIES && name.len() <= super::MAX_NAME {
        into.push(Named { address, mac, name: name.to_owned() });
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A hardware address with or without the number of its kind before it.
fn dnsmasq_mac(text: &str) -> Option<[u8; 6]> {
    mac::parse(text).or_else(|| mac::parse(text.split_once('-')?.1))
}

/// The hardware address in a DUID that is made of one (RFC 8415, 11.2 and 11.4), or one as it is.
fn duid_mac(text: &str) -> Option<[u8; 6]> {
    let digits = match text.len() {
        12 => text,
        28 if text.starts_with("00010001") => text.get(16..)?,
        20 if text.starts_with("00030001") => text.get(8..)?,
        _ => return None,
    };
    let mut mac = [0; 6];
    for (at, octet) in mac.iter_mut().enumerate() {
        let from = at.saturating_mul(2);
        *octet = u8::from_str_radix(digits.get(from..from.saturating_add(2))?, 16).ok()?;
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(read: fn(&str, &mut Vec<Named>), text: &str) -> Vec<String> {
        let mut found = Vec::new();
        read(text, &mut found);
        let text = |n: Named| {
            let address = n.address.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
            format!("{address} {} {}", n.mac.map_or_else(|| "-".to_owned(), mac::text), n.name)
        };
        found.into_iter().map(text).collect()
    }

    #[test]
    fn leases_of_dnsmasq() {
        let text = "1762959600 b8:27:eb:00:00:01 192.168.1.20 raspi 01:b8:27:eb:00:00:01\n\
            0 06-02:00:00:00:00:02 192.168.1.21 static *\n\
            1762959600 b8:27:eb:00:00:03 192.168.1.22 * *\n\
            duid 00:01:00:01:2c:aa:bb:cc:02:00:00:00:00:01\n\
            1762959600 12345 2001:db8::20 raspi 00:01:00:01:2c\n\
            nonsense\n\u{1b}[2J x y z\n";
        assert_eq!(
            shown(leases, text),
            [
                "192.168.1.20 b8:27:eb:00:00:01 raspi",
                "192.168.1.21 02:00:00:00:00:02 static",
                "2001:db8::20 - raspi",
            ]
        );
    }

    #[test]
    fn leases_of_odhcpd() {
        let text = "# br-lan 000100012caabbcc020000000001 1a2b tablet 1762959600 20 128 \
            2001:db8::5/128 fd00::5/128\n\
            2001:db8::5\ttablet.lan\ttablet\n\
            # br-lan b827eb000009 ipv4 camera 1762959600 1f 32 192.168.1.31/32\n\
            # br-lan 00030001b827eb00000a 5 - 1762959600 21 128 2001:db8::6/128\n\
            # br-lan 0004aaaa 5 laptop -1 21 128 2001:db8::7/128\n";
        assert_eq!(
            shown(leases, text),
            [
                "2001:db8::5 02:00:00:00:00:01 tablet",
                "fd00::5 02:00:00:00:00:01 tablet",
                "192.168.1.31 b8:27:eb:00:00:09 camera",
                "2001:db8::7 - laptop",
            ]
        );
    }

    #[test]
    fn hosts_and_ethers() {
        let text = "127.0.0.1 localhost\n# a remark\n192.168.1.9 nas.lan nas # the disks\n\
            ::1 ip6-localhost ip6-loopback\nfe80::1 router\nb8:27:eb:00:00:01 printer\n\
            b8:27:eb:00:00:02 192.168.1.7\nnonsense here\n";
        assert_eq!(
            shown(hosts, text),
            ["192.168.1.9 - nas.lan", "fe80::1 - router", "- b8:27:eb:00:00:01 printer"]
        );
    }

    #[test]
    fn a_file_without_end_has_one() {
        let text = "1 02:00:00:00:00:01 10.0.0.1 x *\n".repeat(MAX_ENTRIES * 2);
        assert_eq!(shown(leases, &text).len(), MAX_ENTRIES);
        let text = "10.0.0.1 x\n".repeat(MAX_ENTRIES * 2);
        assert_eq!(shown(hosts, &text).len(), MAX_ENTRIES);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_to_an_end(text in "[ -~\n#0-9a-f:]{0,300}") {
            let _ = (shown(leases, &text), shown(hosts, &text));
        }
    }
}
