//! Files of settings, one `NAME=value` per line. Only quotes are special in a value: `$` is not
//! expanded.

use thiserror::Error;

/// A line that is not a setting. The error names only its number, because the line may hold a
/// secret.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: expected NAME=value, # comment, NAME='value' or NAME=\"value\"")]
pub(super) struct EnvFileError {
    line: usize,
}

/// Reads all settings of a file, in order.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, EnvFileError> {
    let mut settings = Vec::new();
    for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            settings.push(setting(line).ok_or(EnvFileError { line: number })?);
        }
    }
    Ok(settings)
}

fn setting(line: &str) -> Option<(String, String)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let name = name.trim_end();
    let is_name =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    let start = value.trim_start();
    let value = match start.chars().next() {
        Some('\'') => quoted(&start[1..], '\'', false)?,
        Some('"') => quoted(&start[1..], '"', true)?,
        _ => plain(value).to_owned(),
    };
    is_name.then(|| (name.to_owned(), value))
}

/// The value ends at a comment, which starts with a `#` after a space or a tab.
fn plain(value: &str) -> &str {
    let comment =
        value.char_indices().find(|(at, c)| *c == '#' && value[..*at].ends_with([' ', '\t']));
    value[..comment.map_or(value.len(), |(at, _)| at)].trim()
}

/// The value ends at the closing quote. Only a comment may follow it.
fn quoted(text: &str, quote: char, escapes: bool) -> Option<String> {
    let mut value = String::new();
    let mut rest = text.chars();
    loop {
        match rest.next()? {
            '\\' if escapes => value.push(match rest.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            }),
            c if c == quote => break,
            c => value.push(c),
        }
    }
    let rest = rest.as_str().trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings stay the same when they are written in quotes and read again.
    #[test]
    fn fuzz_env_file() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = str::from_utf8(bytes) else { return };
            let Ok(settings) = parse(text) else { return };
            let escaped = |value: &str| {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                value.replace('\n', "\\n").replace('\r', "\\r")
            };
            let lines =
                settings.iter().map(|(name, value)| format!("{name}=\"{}\"\n", escaped(value)));
            assert_eq!(parse(&lines.collect::<String>()), Ok(settings));
        });
    }

    #[test]
    fn a_value_is_what_stands_there() {
        for (line, value) in [
            ("A=plain", "plain"),
            ("export A = spaced ", "spaced"),
            ("A=pa$$word${B}", "pa$$word${B}"),
            ("A=pass#word", "pass#word"),
            ("A=10_000 ### items", "10_000"),
            ("A=", ""),
            ("A= # nothing", ""),
            ("A='single \\n $B # '  # comment", "single \\n $B # "),
            ("A=\"double \\\" \\\\ \\$B $C\"", "double \" \\ $B $C"),
            ("A=a=b", "a=b"),
        ] {
            assert_eq!(parse(line), Ok(vec![("A".to_owned(), value.to_owned())]), "{line}");
        }
        assert_eq!(parse("\n# comment\n  \n"), Ok(vec![]));
    }

    #[test]
    fn a_line_that_is_none_is_told_by_its_number() {
        for wrong in ["hidden", "=hidden", "A B=hidden", "A='hidden", "A=\"hidden\" more"] {
            let error = parse(&format!("B=1\n{wrong}")).unwrap_err();
            assert_eq!(error.line, 2, "{wrong}");
            assert!(!error.to_string().contains("hidden"));
        }
    }
}
