//! Names that nearly match a setting. They are most likely typos, which would otherwise silently
//! leave the default in force.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Shorter names differ too often by only one letter.
const SHORTEST: usize = 8;

/// The slips that the last reader found; they are logged once logging has started.
static FOUND: Mutex<Vec<Slip>> = Mutex::new(Vec::new());

/// A variable that is never read, and the setting that is probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slip {
    pub(crate) variable: String,
    pub(crate) setting: String,
}

/// Remembers each of `variables` that nearly matches one of `settings`.
pub(super) fn remember<'a>(variables: impl Iterator<Item = &'a String>, settings: &BTreeSet<String>) {
    let slips = find(variables, settings);
    *FOUND.lock().unwrap_or_else(PoisonError::into_inner) = slips;
}

/// Takes the slips that were remembered.
pub(crate) fn take() -> Vec<Slip> {
    std::mem::take(&mut FOUND.lock().unwrap_or_else(PoisonError::into_inner))
}

fn find<'a>(variables: impl Iterator<Item = &'a String>, settings: &BTreeSet<String>) -> Vec<Slip> {
    let unread = variables.filter(|variable| variable.len() >= SHORTEST && !settings.contains(*variable));
    let slip = |variable: &'a String| {
        let setting = settings.iter().find(|setting| is_one_letter_from(variable, setting))?;
        Some(Slip { variable: variable.clone(), setting: setting.clone() })
    };
    unread.filter_map(slip).collect()
}

/// Whether one letter was omitted, added or replaced. Digits do not count, because they number
/// shards.
fn is_one_letter_from(one: &str, other: &str) -> bool {
    let (shorter, longer) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let (shorter, longer) = (shorter.as_bytes(), longer.as_bytes());
    let same = shorter.iter().zip(longer).take_while(|(a, b)| a == b).count();
    let differs = longer.get(same).is_some_and(|letter| !letter.is_ascii_digit());
    let rest = longer.get(same + 1..).unwrap_or_default();
    differs
        && (shorter[same..] == *rest
            || shorter.get(same + 1..) == Some(rest) && shorter.len() == longer.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_one_letter_from_a_setting_is_a_slip() {
        let settings = ["DATABASE_MAX_CONNECTIONS", "DATABASE_MASTER_NAME_0", "HTTP_PORT"];
        let settings = settings.map(str::to_owned).into();
        let slips = |variable: &str| find([variable.to_owned()].iter(), &settings).len();
        for slip in
            ["DATABASE_MAX_CONNECTION", "DATABASE_MAXX_CONNECTIONS", "DATABASE_MAX_CONECTIONS", "HTTP_PORTS"]
        {
            assert_eq!(slips(slip), 1, "{slip}");
        }
        for other in ["DATABASE_URL", "DATABASE_MASTER_NAME_1", "HTTP_PORT", "HTTP_PROXY", "PATH"] {
            assert_eq!(slips(other), 0, "{other}");
        }
    }
}
