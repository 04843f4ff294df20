//! Durations as Go writes them: `1h30m`, `500ms`, `1.5s`, with a sign or without.

/// Milliseconds of a duration; `None` if it is none.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos = 0_i128;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at_checked(digits)?;
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_len)?;
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && part.is_empty()) || whole.len() > 15 || part.len() > 15 {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let mut value = whole.checked_mul(unit)?;
        if !part.is_empty() {
            let scale = 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?;
            let fraction = part.parse::<i128>().ok()?.checked_mul(unit)?;
            value = value.checked_add(fraction.checked_div(scale)?)?;
        }
        nanos = nanos.checked_add(value)?;
        rest = tail;
    }
    let millis = nanos.checked_div(1_000_000)?;
    i64::try_from(millis).ok()?.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("30s", Some(30_000)),
            ("1h30m", Some(5_400_000)),
            ("-5m", Some(-300_000)),
            ("1.5s", Some(1_500)),
            (".5s", Some(500)),
            ("100us", Some(0)),
            ("0", Some(0)),
            ("+2ms", Some(2)),
            ("", None),
            ("-", None),
            ("5", None),
            ("s", None),
            (".s", None),
            ("1d", None),
            ("1s x", None),
            ("99999999999999999999h", None),
            ("999999999999999h", None),
        ] {
            assert_eq!(parse(text), millis, "{text:?}");
        }
    }
}
