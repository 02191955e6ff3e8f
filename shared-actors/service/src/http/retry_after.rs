//! The header `Retry-After` of an answer.

use std::time::{Duration, SystemTime};

/// How long a server asks not to be called: a number of seconds, or a moment (RFC 9110, section
/// 10.2.3). `None` if the value is neither, or has passed.
///
/// ```
/// use std::time::Duration;
/// use service_kit::http::retry_after;
/// assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
/// assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
/// assert_eq!(retry_after("soon"), None);
/// ```
pub fn retry_after(value: &str) -> Option<Duration> {
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_retry_after() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = str::from_utf8(bytes) else { return };
            let delay = retry_after(text);
            assert!(delay.is_none() || text.bytes().any(|byte| byte.is_ascii_digit()));
        });
    }
}
