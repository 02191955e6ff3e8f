//! Parses the text of a setting. An error is the text of what was expected.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

const LONGEST_DURATION: Duration = Duration::from_hours(36_500 * 24);

pub(super) fn without_comment(text: &str) -> &str {
    text.split("###").next().unwrap_or_default().trim()
}

/// The schemes that are shown. Anything else before a `://` may be part of a password.
const SCHEMES: [&str; 6] = ["http", "https", "redis", "rediss", "postgres", "postgresql"];

/// The text as a log may show it: everything before an `@` is hidden, because it may be a password.
pub(super) fn without_credentials(text: &str) -> String {
    let Some((credentials, address)) = text.rsplit_once('@') else { return text.to_owned() };
    let scheme = credentials.split_once("://").filter(|(scheme, _)| SCHEMES.contains(scheme));
    let (scheme, separator) = scheme.map_or(("", ""), |(scheme, _)| (scheme, "://"));
    format!("{scheme}{separator}***@{address}")
}

pub(super) fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    let plain: String =
        if is_grouped_number(text) { text.replace('_', "") } else { text.to_owned() };
    plain
        .parse()
        .map_err(|error| expectation::<T>().unwrap_or_else(|| format!("another value ({error})")))
}

fn is_grouped_number(text: &str) -> bool {
    text.contains('_')
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'.'))
}

fn expectation<T>() -> Option<String> {
    let whole = |low: &dyn Display, high: &dyn Display| {
        Some(format!("a whole number from {low} to {high}"))
    };
    match std::any::type_name::<T>() {
        "u8" => whole(&u8::MIN, &u8::MAX),
        "u16" => whole(&u16::MIN, &u16::MAX),
        "u32" => whole(&u32::MIN, &u32::MAX),
        "u64" => whole(&u64::MIN, &u64::MAX),
        "usize" => whole(&usize::MIN, &usize::MAX),
        "i32" => whole(&i32::MIN, &i32::MAX),
        "i64" => whole(&i64::MIN, &i64::MAX),
        "f32" | "f64" => Some("a number".to_owned()),
        _ => None,
    }
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

/// Accepts only durations that a database can store and calculate with: whole microseconds, far
/// below the limits of its calendar.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration > LONGEST_DURATION => {
            Err("a duration of at most 36500 days".to_owned())
        }
        Ok(duration) if !duration.subsec_nanos().is_multiple_of(1000) => {
            Err("a duration of whole microseconds".to_owned())
        }
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a duration above 0 with its unit, such as 10m or 250ms".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HostPort, ListenAddress, Reader};
    use super::*;

    #[test]
    fn fuzz_setting() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = str::from_utf8(bytes) else { return };
            if let Ok(address) = HostPort::parse(text, 80) {
                assert_eq!(HostPort::parse(&address.to_string(), 1), Ok(address));
            }
            if let Ok(time) = duration(text) {
                assert!(!time.is_zero() && time <= LONGEST_DURATION);
            }
            let number = parse::<u16>(text);
            assert!(number.is_err() || text.bytes().any(|byte| byte.is_ascii_digit()));
            let shown = without_credentials(&format!("me:hidden@{text}"));
            assert!(!shown.contains("hidden") || text.contains("hidden"), "{shown}");
            let shown = without_credentials(&format!("hidden{text}@host"));
            assert!(!shown.contains("hidden"), "{shown}");
        });
    }

    #[test]
    fn values_parse_with_underscores_and_comments() {
        let mut reader = Reader::from_pairs([
            ("COUNT", "1_000_000 ### many"),
            ("TTL", "300_000_000_000"),
            ("DELAY", "100"),
            ("PAYMENT", "10m"),
            ("TOPIC", "loms.order-events ### where they go"),
            ("BROKERS", "a:9092, b:9092,"),
            ("MIGRATE", "No"),
            ("EMPTY", ""),
            ("TOKEN", "a ### is part of it"),
        ]);
        assert_eq!(reader.get("COUNT", 0_u32), 1_000_000);
        assert_eq!(reader.nanoseconds("TTL", Duration::ZERO), Duration::from_mins(5));
        assert_eq!(reader.milliseconds("DELAY", Duration::ZERO), Duration::from_millis(100));
        assert_eq!(reader.duration("PAYMENT", Duration::ZERO), Duration::from_mins(10));
        assert_eq!(reader.text("TOPIC", ""), "loms.order-events");
        assert_eq!(reader.list("BROKERS", "c"), ["a:9092", "b:9092"]);
        assert!(!reader.flag("MIGRATE", true));
        assert_eq!(reader.get("EMPTY", 7_u8), 7);
        assert_eq!(reader.secret("TOKEN", "").expose(), "a ### is part of it");
        reader.finish().unwrap();
    }

    #[test]
    fn every_wrong_setting_is_told_at_once() {
        let mut reader = Reader::from_pairs([
            ("PORT", "65536"),
            ("RETRIES", "21"),
            ("TTL", "0s"),
            ("WAIT", "10"),
            ("GRACE", "101y"),
            ("LAG", "1500ns"),
            ("ADDRESS", "nowhere:x"),
            ("FLAG", "maybe"),
            ("HOST", "https://me:hidden@shop:80"),
            ("PEER", "me:hid/d@en@shop"),
        ]);
        assert_eq!(reader.get("PORT", 1_u16), 1);
        assert_eq!(reader.get_in("RETRIES", 3, 0..=20), 3);
        reader.duration("TTL", Duration::ZERO);
        reader.duration("WAIT", Duration::ZERO);
        reader.duration("GRACE", Duration::ZERO);
        reader.duration("LAG", Duration::ZERO);
        reader.get("ADDRESS", ListenAddress::EveryInterface(0));
        reader.flag("FLAG", true);
        reader.get("HOST", ListenAddress::EveryInterface(0));
        reader.reject("PEER", "host:port");
        let error = reader.finish().unwrap_err();
        let text = error.to_string();
        assert_eq!(error.problems.len(), 10, "{text}");
        assert!(text.starts_with("10 wrong settings:"), "{text}");
        assert!(text.contains("PORT=\"65536\": expected a whole number from 0 to 65535"), "{text}");
        assert!(text.contains("RETRIES=\"21\": expected a number from 0 to 20"), "{text}");
        assert!(
            text.contains("GRACE=\"101y\": expected a duration of at most 36500 days"),
            "{text}"
        );
        assert!(
            text.contains("LAG=\"1500ns\": expected a duration of whole microseconds"),
            "{text}"
        );
        assert!(
            text.contains("HOST=\"https://***@shop:80\"") && text.contains("PEER=\"***@shop\""),
            "{text}"
        );
        assert!(text.contains("ADDRESS=\"nowhere:x\": expected"), "{text}");
    }
}
