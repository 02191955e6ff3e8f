//! Whole numbers in JSON notation: `100`, `1e2`, `100.0` and `1000e-1` are exactly the same number.

/// No 64-bit number has more digits.
const MAX_DIGITS: usize = 20;

/// Converts a JSON number to plain digits. Returns `None` if it has a fraction or more than
/// `MAX_DIGITS` digits, or if `text` is not a JSON number.
pub(super) fn plain_digits(text: &str) -> Option<String> {
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) =
        unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) =
        mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let leads_with_zero = whole.len() > 1 && whole.starts_with('0');
    if !is_digits(whole) || leads_with_zero || !fraction.is_none_or(is_digits) {
        return None;
    }
    let exponent = match exponent {
        None => Some(0),
        Some(exponent) if is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)) => {
            exponent.parse::<i32>().ok()
        }
        Some(_) => return None,
    };
    let fraction = fraction.unwrap_or_default();
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    // How many places to shift the last significant digit to the left.
    let trailing = digits.len() - digits.trim_end_matches('0').len();
    let shift = i64::from(exponent?) + i64::try_from(trailing).ok()?
        - i64::try_from(fraction.len()).ok()?;
    let zeros =
        usize::try_from(shift).ok().filter(|zeros| significant.len() + zeros <= MAX_DIGITS)?;
    let sign = if negative { "-" } else { "" };
    Some(format!("{sign}{significant}{}", "0".repeat(zeros)))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_of_a_whole_number_is_exact() {
        for (text, digits) in [
            ("0", "0"),
            ("-0", "0"),
            ("0.0e99999999999", "0"),
            ("7", "7"),
            ("-7", "-7"),
            ("100", "100"),
            ("1e2", "100"),
            ("1E+2", "100"),
            ("0.5e1", "5"),
            ("1.0", "1"),
            ("1000e-1", "100"),
            ("100.0e-2", "1"),
            ("9007199254740993.0", "9007199254740993"),
            ("9223372036854775808.0", "9223372036854775808"),
            ("1.8446744073709551615e19", "18446744073709551615"),
        ] {
            assert_eq!(plain_digits(text).as_deref(), Some(digits), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_or_no_number_of_json_is_none() {
        for text in [
            "",
            "-",
            "+7",
            "007",
            "-01",
            ".5",
            "1.",
            "1.5",
            "1e-1",
            "15e-2",
            "1e",
            "1e+",
            "1e99",
            "1e9999999999",
            "0x7",
            "1_0",
            " 1",
            "1 ",
            "NaN",
            "१",
            "--1",
            "1e1.0",
        ] {
            assert_eq!(plain_digits(text), None, "{text}");
        }
    }
}
