//! The notifier's lines about one order, shown as they arrive in its log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Reads what the notifier logs from a given moment on.
#[derive(Debug)]
pub struct Notifications {
    log: PathBuf,
    read_bytes: u64,
}

impl Notifications {
    /// Starts at the current end of the log and skips everything before it.
    pub fn from_now_on(log: &Path) -> Self {
        let read_bytes = log.metadata().map_or(0, |metadata| metadata.len());
        Self { log: log.to_path_buf(), read_bytes }
    }

    /// Prints every line about `order` until one of them contains PAYED.
    pub async fn show_until_payed(&mut self, order: i64, deadline: Duration) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < deadline {
            for line in self.next_lines()?.iter().filter(|line| names(line, order)) {
                println!("    {line}");
                if line.contains("PAYED") {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!(
            "after {} s, {} does not say that order {order} is PAYED",
            deadline.as_secs(),
            self.log.display()
        )
    }

    /// The complete lines that were written since the last call.
    fn next_lines(&mut self) -> Result<Vec<String>> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.read_bytes))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let complete = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        self.read_bytes += u64::try_from(complete)?;
        Ok(String::from_utf8_lossy(&bytes[..complete]).lines().map(str::to_owned).collect())
    }
}

/// Whether the line contains the order's number as a word of its own, not as part of a longer
/// number.
fn names(line: &str, order: i64) -> bool {
    let order = order.to_string();
    line.split(|character: char| !character.is_ascii_alphanumeric()).any(|word| word == order)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_line_names_an_order_by_its_whole_number_only() {
        assert!(names("order 1001 of user 7 is PAYED", 1001));
        assert!(names(r#"{"order_id":1001,"state":"PAYED"}"#, 1001));
        assert!(!names("order 11001 is PAYED", 1001));
        assert!(!names("order 10010 is PAYED", 1001));
    }

    #[tokio::test]
    async fn a_line_counts_once_it_is_complete_and_earlier_ones_never() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        writeln!(log, "order 1001 is PAYED").unwrap();
        let mut notifications = Notifications::from_now_on(log.path());
        write!(log, "order 1001 is PA").unwrap();
        assert!(notifications.show_until_payed(1001, Duration::from_millis(50)).await.is_err());
        writeln!(log, "YED").unwrap();
        assert!(notifications.show_until_payed(1001, Duration::from_millis(50)).await.is_ok());
    }
}
