//! Names that nearly match a setting. They are most likely typos, which would otherwise silently
//! leave the default in force.

use std::collections::BTreeSet;

/// Shorter names differ too often by only one letter.
const SHORTEST: usize = 8;

/// Names that other programs read.
const FOREIGN: [&str; 1] = ["HTTPS_PORT"];

/// Each of `variables` that nearly matches one of `settings`, with that setting.
pub(super) fn slips<'a>(
    variables: impl Iterator<Item = &'a String>,
    settings: &BTreeSet<String>,
) -> Vec<(&'a String, String)> {
    let is_known = |name: &str| settings.contains(name) || FOREIGN.contains(&name);
    let unread = variables.filter(|name| name.len() >= SHORTEST && !is_known(name));
    let slip = |variable: &'a String| {
        let meant = settings.iter().find(|setting| is_slip(variable, setting))?;
        Some((variable, meant.clone()))
    };
    unread.filter_map(slip).collect()
}

/// Whether one letter was omitted, added or replaced, or two neighbours were swapped. Digits do not
/// count, because they number shards.
fn is_slip(variable: &str, setting: &str) -> bool {
    let letters = |name: &str| name.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    letters(variable) != letters(setting) && strsim::osa_distance(variable, setting) == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_one_letter_from_a_setting_is_a_slip() {
        let settings = ["DATABASE_MAX_CONNECTIONS", "DATABASE_MASTER_NAME_0", "HTTP_PORT"];
        let settings = settings.map(str::to_owned).into();
        let slips = |variable: &str| slips([variable.to_owned()].iter(), &settings).len();
        for slip in [
            "DATABASE_MAX_CONNECTION",
            "DATABASE_MAXX_CONNECTIONS",
            "DATABASE_MAX_CONECTIONS",
            "HTTP_PORTS",
            "HTTP_PROT",
        ] {
            assert_eq!(slips(slip), 1, "{slip}");
        }
        for other in [
            "DATABASE_URL",
            "DATABASE_MASTER_NAME_1",
            "HTTP_PORT",
            "HTTPS_PORT",
            "HTTP_PROXY",
            "PATH",
        ] {
            assert_eq!(slips(other), 0, "{other}");
        }
    }
}
