//! Exact whole numbers in JSON.

/// The most decimal digits that an [`i128`] can always hold.
const MAX_DIGITS: usize = 38;

/// Parses the JSON value `text` as a whole number. Returns `None` if it is not a number of JSON, is
/// not whole, or has more than 38 digits. The notation does not matter: `5`, `5.0`, `50e-1` and
/// `5e0` are equal.
///
/// ```
/// use service_kit::http::whole_number;
/// assert_eq!(whole_number("9007199254740993.0"), Some(9_007_199_254_740_993));
/// assert_eq!(whole_number("5.5"), None);
/// ```
pub fn whole_number(text: &str) -> Option<i128> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let leads_with_zero = whole.len() > 1 && whole.starts_with('0');
    let magnitude = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if leads_with_zero || ![whole, fraction, magnitude].into_iter().all(is_digits) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // Both lengths are far below 2^63, because a body is small. So is the exponent of any number
    // within the range.
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let power = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let power = usize::try_from(power.checked_add(zeros)?).ok()?;
    let significant = significant.trim_start_matches('0');
    if significant.len().saturating_add(power) > MAX_DIGITS {
        return None;
    }
    let number = significant.parse::<i128>().ok()?;
    Some(sign * number * 10_i128.pow(u32::try_from(power).ok()?))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::Number;

    use super::*;

    #[test]
    #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "both are rounded alike")]
    fn fuzz_whole_number() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = str::from_utf8(bytes) else { return };
            let Some(number) = whole_number(text) else { return };
            assert_eq!(whole_number(&number.to_string()), Some(number));
            // Both sides are rounded once, to the same nearest number.
            assert_eq!(text.parse::<f64>().unwrap(), number as f64);
            assert!(serde_json::from_str::<Number>(text).is_ok());
        });
    }

    #[test]
    fn a_whole_number_is_exact_in_any_notation() {
        for (text, number) in [
            ("5", 5),
            ("-5", -5),
            ("5.0", 5),
            ("5.000", 5),
            ("5e0", 5),
            ("5E+0", 5),
            ("0.5e1", 5),
            ("50e-1", 5),
            ("500.00e-2", 5),
            ("0", 0),
            ("-0", 0),
            ("0.0e999999999999999999", 0),
            ("1e2", 100),
            ("9007199254740993", 9_007_199_254_740_993),
            ("9007199254740993.0", 9_007_199_254_740_993),
            ("9223372036854775807.0", i128::from(i64::MAX)),
            ("9223372036854775808.0", i128::from(i64::MAX) + 1),
            ("18446744073709551615", i128::from(u64::MAX)),
            ("99999999999999999999999999999999999999", 10_i128.pow(38) - 1),
        ] {
            assert_eq!(whole_number(text), Some(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_is_none() {
        for text in [
            "0.5",
            "5.5",
            "1e-1",
            "5e-1",
            "1e39",
            "1e999999999999999999",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "999999999999999999999999999999999999999",
            "",
            "-",
            ".",
            "+5",
            "--5",
            "05",
            "-05",
            ".5",
            "5.",
            "5e",
            "5e+",
            "5e1.0",
            " 5",
            "5 ",
            "5_0",
            "0x5",
            "१",
            "\"5\"",
            "null",
            "true",
            "[5]",
            "{}",
            "NaN",
        ] {
            assert_eq!(whole_number(text), None, "{text}");
        }
    }
}
