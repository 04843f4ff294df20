//! Who made a device, by the first three octets of its hardware address: the IEEE's registry of
//! OUIs, of which a short list lies in the program. Without the feature `vendors` it is empty.

#[cfg(feature = "vendors")]
use crate::packed::Packed;

/// One vendor a line, `NAME=PREFIXES`, each prefix six digits with nothing between them; made by
/// `openwrt/vendors/vendors.py`.
#[cfg(feature = "vendors")]
fn table() -> &'static str {
    static TABLE: Packed = Packed::new(include_bytes!(concat!(env!("OUT_DIR"), "/vendors.txt")));
    TABLE.text()
}
#[cfg(not(feature = "vendors"))]
const fn table() -> &'static str {
    ""
}

/// The vendor of a hardware address, if the list has it. The bit that marks an address as made up
/// is no hindrance: virtual machines have well-known prefixes with it.
#[must_use]
pub fn of(mac: [u8; 6]) -> Option<&'static str> {
    let [a, b, c, ..] = mac;
    let mut wanted = [0_u8; 6];
    let nibbles = [a, b, c].into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
    for (digit, nibble) in wanted.iter_mut().zip(nibbles) {
        *digit = *b"0123456789ABCDEF".get(usize::from(nibble)).unwrap_or(&b'0');
    }
    table().lines().find_map(|line| {
        let (name, prefixes) = line.split_once('=')?;
        let (prefixes, _) = prefixes.as_bytes().as_chunks::<6>();
        prefixes.contains(&wanted).then_some(name)
    })
}

/// Whether an address was made up by its owner rather than given by a vendor: phones that hide,
/// virtual machines, bridges (IEEE 802, the bit for locally administered addresses).
#[must_use]
pub const fn is_local(mac: [u8; 6]) -> bool {
    let [first, ..] = mac;
    first & 2 != 0
}

#[cfg(all(test, feature = "vendors"))]
mod tests {
    use super::*;

    #[test]
    fn vendors_are_found_by_their_first_three_octets() {
        assert_eq!(of([0xb8, 0x27, 0xeb, 1, 2, 3]), Some("Raspberry Pi"));
        assert_eq!(of([0x52, 0x54, 0, 0xff, 0xff, 0xff]), Some("QEMU"));
        assert_eq!(of([0xff; 6]), None);
        assert_eq!(of([0; 6]), None);
    }

    #[test]
    fn addresses_that_were_made_up_are_told() {
        assert!(is_local([0x02, 0, 0, 0, 0, 1]) && is_local([0xda, 0xa1, 0x19, 0, 0, 1]));
        assert!(!is_local([0xb8, 0x27, 0xeb, 0, 0, 1]));
    }

    #[test]
    fn the_list_is_whole_prefixes_of_named_vendors() {
        for line in table().lines() {
            let (name, prefixes) = line.split_once('=').unwrap();
            assert!(!name.is_empty() && !prefixes.is_empty(), "{line}");
            assert_eq!(prefixes.len() % 6, 0, "{name}");
            assert!(prefixes.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)));
        }
    }
}
