//! 48-bit hardware addresses as text.

/// Reads `xx:xx:xx:xx:xx:xx` or the same with `-`, any letter case.
#[must_use]
pub fn parse(text: &str) -> Option<[u8; 6]> {
    let separator = if text.contains('-') { '-' } else { ':' };
    let mut mac = [0; 6];
    let mut parts = text.split(separator);
    for octet in &mut mac {
        let part = parts.next()?;
        let hex = part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        *octet = u8::from_str_radix(part, 16).ok().filter(|_| hex)?;
    }
    parts.next().is_none().then_some(mac)
}

/// Writes `xx:xx:xx:xx:xx:xx` in lower case.
#[must_use]
pub fn text(mac: [u8; 6]) -> String {
    let mut out = String::with_capacity(17);
    for (at, octet) in mac.into_iter().enumerate() {
        if at > 0 {
            out.push(':');
        }
        for nibble in [octet >> 4, octet & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators_are_read_and_one_is_written() {
        let mac = [0x02, 0xfc, 0, 0, 0xab, 1];
        assert_eq!(parse("02:FC:00:00:ab:01"), Some(mac));
        assert_eq!(parse("02-fc-00-00-AB-01"), Some(mac));
        assert_eq!(text(mac), "02:fc:00:00:ab:01");
        for wrong in [
            "",
            "02:fc",
            "02:fc:00:00:ab:01:02",
            "2:fc:0:0:ab:1",
            "02:fc:00-00:ab:01",
            "+2:fc:00:00:ab:01",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
