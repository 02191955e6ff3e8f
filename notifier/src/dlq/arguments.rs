//! The arguments of `notifier dlq`.

use chrono::{DateTime, Utc};

/// Shows, replays or drops dead letters.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum DlqCommand {
    /// Lists dead letters, the oldest first.
    List {
        #[command(flatten)]
        filter: Filter,
        /// Also lists those that were replayed or dropped.
        #[arg(long)]
        all: bool,
        /// The maximum number of letters.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
        /// Prints JSON: one object per line.
        #[arg(long)]
        json: bool,
    },
    /// Shows one dead letter with its record.
    Show {
        /// The id of the letter.
        id: i64,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Republishes records to their topic, and resends notifications over their channel.
    Replay(Change),
    /// Marks letters as dropped. `list` then shows them only with --all.
    Drop(Change),
}

/// Selects letters. All conditions must hold.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Filter {
    /// Letters with these ids.
    #[arg(long, value_delimiter = ',', value_name = "ID,…")]
    pub id: Vec<i64>,
    /// Letters whose reason contains this text.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Letters created at or after this time: RFC 3339, or an age such as 2h.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<DateTime<Utc>>,
    /// Letters created before this time: RFC 3339, or an age such as 2h.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<DateTime<Utc>>,
    /// Letters of this order.
    #[arg(long, value_name = "ORDER_ID")]
    pub order: Option<i64>,
    /// Letters of this channel. "none" means records that are not events.
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
}

impl Filter {
    /// The channel as it is stored.
    pub(super) fn stored_channel(&self) -> Option<&str> {
        self.channel.as_deref().map(|name| if name == "none" { "" } else { name })
    }
}

/// A change of the letters that match and are unresolved.
#[derive(Clone, Debug, clap::Args)]
pub struct Change {
    #[command(flatten)]
    pub filter: Filter,
    /// Counts the matching letters and changes nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Skips the confirmation prompt.
    #[arg(long)]
    pub yes: bool,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.to_utc());
    }
    humantime::parse_duration(text)
        .ok()
        .and_then(|ago| Utc::now().checked_sub_signed(chrono::Duration::from_std(ago).ok()?))
        .ok_or_else(|| "expected a moment such as 2026-11-23T15:04:05Z, or 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        let moment_is = |text: &str| moment(text).unwrap();
        assert_eq!(
            moment_is("2026-11-23T15:04:05+01:00").to_rfc3339(),
            "2026-11-23T14:04:05+00:00"
        );
        let ago = moment_is("1h 30m");
        assert_eq!((Utc::now() - ago).num_minutes(), 90);
        for wrong in ["", "yesterday", "2026-11-23", "-1h", "1000000000000y"] {
            assert!(moment(wrong).is_err(), "{wrong:?}");
        }
    }
}
