//! Who is here: the neighbours of the links put together by hardware address, with all their
//! addresses, names and traffic, the busiest first.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::core::command::{TABLE, Verb};

use super::answer::{self, MAX_ROWS_OCTETS, number, octets};
use super::client::Client;

/// Neighbours that are looked at; the kernel itself keeps 1 024 of each family.
const MAX_NEIGHBOURS: u64 = 8_192;

/// Addresses, and names, that one device is shown with; a device with more says how many.
const MAX_ADDRESSES: usize = 16;

/// Devices of an answer when the caller does not say how many.
const DEFAULT_ROWS: u64 = 200;

#[derive(Debug, Default)]
struct Device {
    /// Each with its name, empty if it has none.
    addresses: Vec<(String, String)>,
    interfaces: Vec<String>,
    states: Vec<String>,
    router: bool,
    last_seen: i64,
    received: u64,
    sent: u64,
}

/// Asks for the neighbours and answers with devices.
pub(super) fn answer(
    agent: &Client<'_>,
    arguments: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let entry = TABLE.iter().find(|entry| entry.verb == Verb::Neighbours);
    let name = entry.and_then(|entry| entry.unix.first()).copied().unwrap_or_default();
    let bad = |name: &str| format!("invalid {name}: expected a whole number");
    let count = |name: &'static str, usual: u64| match arguments.get(name) {
        None => Ok(usual),
        Some(value) => number(value).ok_or_else(|| bad(name)),
    };
    let (wanted, after) = (count("n", DEFAULT_ROWS)?.max(1), count("after", 0)?);
    let mut devices = BTreeMap::new();
    let mut seen = 0_u64;
    let mut next = Value::from(0);
    let mut complete = false;
    while seen < MAX_NEIGHBOURS && !complete {
        let request = [
            ("command".to_owned(), name.into()),
            ("n".to_owned(), 1_000.into()),
            ("after".to_owned(), next),
        ];
        let mut page = answer::pages(agent, "neighbours", Map::from_iter(request))?;
        let Some(Value::Array(rows)) = page.remove("neighbours") else { break };
        seen = seen.saturating_add(rows.len() as u64);
        rows.iter().for_each(|row| add(&mut devices, row));
        next = page.remove("next").unwrap_or_default();
        complete = next.is_null() || rows.is_empty();
    }
    Ok(shown(devices, wanted, after, !complete))
}

/// Puts a neighbour to its device.
fn add(devices: &mut BTreeMap<String, Device>, row: &Value) {
    let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
    let count = |name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
    let device: &mut Device = devices.entry(text("macaddr").to_owned()).or_default();
    let note = |list: &mut Vec<String>, text: &str| {
        if !text.is_empty() && !list.iter().any(|known| known == text) {
            list.push(text.to_owned());
        }
    };
    let address = match text("ip4addr") {
        "" => text("ip6addr"),
        address => address,
    };
    device.addresses.push((address.to_owned(), text("desc").to_owned()));
    note(&mut device.interfaces, text("dev"));
    note(&mut device.states, text("state"));
    device.router |= row.get("router").and_then(Value::as_bool).unwrap_or(false);
    let seen = row.get("last_seen").and_then(Value::as_i64).unwrap_or(0);
    device.last_seen = device.last_seen.max(seen);
    device.received = device.received.saturating_add(count("rx_bytes"));
    device.sent = device.sent.saturating_add(count("tx_bytes"));
}

/// The devices as rows, from `after` on.
fn shown(
    devices: BTreeMap<String, Device>,
    wanted: u64,
    after: u64,
    cut: bool,
) -> Map<String, Value> {
    let mut devices: Vec<(String, Device)> = devices.into_iter().collect();
    devices
        .sort_by_key(|(_, device)| std::cmp::Reverse(device.received.saturating_add(device.sent)));
    let all = devices.len();
    let skip = usize::try_from(after).unwrap_or(usize::MAX);
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let mut room = MAX_ROWS_OCTETS;
    let mut rows = Vec::new();
    for (mac, device) in devices.iter().skip(skip).take(wanted) {
        let row = row(mac, device);
        let octets = octets(&row).saturating_add(1);
        if octets > room {
            break;
        }
        room = room.saturating_sub(octets);
        rows.push(row);
    }
    let end = skip.saturating_add(rows.len());
    let mut answer = Map::new();
    answer.insert("total".to_owned(), rows.len().into());
    answer.insert("known".to_owned(), all.into());
    answer.insert("more".to_owned(), (end < all || cut).into());
    if end < all {
        answer.insert("next".to_owned(), end.into());
    }
    answer.insert("devices".to_owned(), Value::Array(rows));
    answer
}

fn row(mac: &str, device: &Device) -> Value {
    let some = device.addresses.iter().take(MAX_ADDRESSES);
    let addresses: Vec<&str> = some.clone().map(|(address, _)| address.as_str()).collect();
    let mut names: Vec<&str> = some.map(|(_, name)| name.as_str()).collect();
    names.retain(|name| !name.is_empty());
    names.dedup();
    json!({
        "macaddr": mac,
        "names": names,
        "addresses": addresses,
        "address_count": device.addresses.len(),
        "interfaces": device.interfaces,
        "states": device.states,
        "router": device.router,
        "last_seen": device.last_seen,
        "rx_bytes": device.received,
        "tx_bytes": device.sent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbour(mac: &str, ip: &str, desc: &str, bytes: u64) -> Value {
        json!({"macaddr": mac, "ip4addr": ip, "ip6addr": "", "desc": desc, "dev": "br-lan",
            "state": "reachable", "router": false, "last_seen": 5, "rx_bytes": bytes,
            "tx_bytes": 1})
    }

    fn devices(rows: &[Value]) -> BTreeMap<String, Device> {
        let mut devices = BTreeMap::new();
        rows.iter().for_each(|row| add(&mut devices, row));
        devices
    }

    #[test]
    fn one_hardware_address_is_one_device() {
        let rows = [
            neighbour("02:00:00:00:00:01", "10.0.0.1", "", 10),
            neighbour("02:00:00:00:00:02", "10.0.0.2", "tv", 500),
            neighbour("02:00:00:00:00:01", "10.0.0.3", "phone", 20),
        ];
        let answer = Value::Object(shown(devices(&rows), 10, 0, false));
        assert_eq!(answer["known"], 2);
        assert_eq!(answer["devices"][0]["names"], json!(["tv"]));
        let phone = &answer["devices"][1];
        assert_eq!(phone["addresses"], json!(["10.0.0.1", "10.0.0.3"]));
        assert_eq!((&phone["rx_bytes"], &phone["tx_bytes"]), (&json!(30), &json!(2)));
        assert_eq!(phone["interfaces"], json!(["br-lan"]));
    }

    #[test]
    fn pages_of_devices_follow_each_other() {
        let mac = |n: u64| format!("02:00:00:00:00:{n:02x}");
        let rows: Vec<Value> = (0..5).map(|n| neighbour(&mac(n), "10.0.0.1", "", n)).collect();
        let first = shown(devices(&rows), 3, 0, false);
        assert_eq!((&first["more"], &first["next"]), (&json!(true), &json!(3)));
        let last = shown(devices(&rows), 3, 3, false);
        assert_eq!((&last["total"], &last["more"]), (&json!(2), &json!(false)));
        assert!(last.get("next").is_none());
        assert_eq!(shown(devices(&rows), 3, u64::MAX, false)["total"], 0);
    }

    #[test]
    fn a_device_with_very_many_addresses_stays_small() {
        let row = |n: u64| {
            neighbour("02:00:00:00:00:01", &format!("10.0.{}.{}", n / 250, n % 250), "x", 1)
        };
        let rows: Vec<Value> = (0..2_000).map(row).collect();
        let answer = shown(devices(&rows), 10, 0, false);
        let device = &answer["devices"][0];
        assert_eq!(device["addresses"].as_array().unwrap().len(), MAX_ADDRESSES);
        assert_eq!(device["address_count"], 2_000);
    }
}
