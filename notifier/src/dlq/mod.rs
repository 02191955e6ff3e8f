//! `notifier dlq`: shows the dead letters that the database keeps, replays them or drops them.
//!
//! A letter is resolved when it was replayed or dropped. It stays in the database until it is old.

mod arguments;
mod letter;
mod print;
mod queries;
mod replay;

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use kafka_actors::ProducerError;
use service_kit::database::{DatabaseError, connect_options};
use sqlx::{Connection, PgConnection};
use thiserror::Error;
use tokio::time::timeout;

pub use arguments::DlqCommand;
use arguments::{Change, Filter};
use print::{Outcome, count_of};
use replay::Replay;

use crate::settings::Settings;

/// How long the database may take to accept the connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How many letters are held in memory at once. A letter may be as large as a record.
const PAGE: i64 = 32;

/// Why the command failed. Letters that were already processed stay processed.
#[derive(Debug, Error)]
pub enum DlqError {
    /// The database cannot be read or written.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database does not accept the connection in time.
    #[error("the database does not answer")]
    Silent,
    /// The output is closed.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// Kafka does not accept the records.
    #[error(transparent)]
    Kafka(#[from] ProducerError),
    /// There is no letter with this id.
    #[error("there is no dead letter {0}")]
    Unknown(i64),
    /// The change needs confirmation, but standard input is not a terminal.
    #[error("this would change {}; standard input is not a terminal, so pass --yes to confirm", count_of(*.0))]
    Unconfirmed(i64),
}

impl From<sqlx::Error> for DlqError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Runs the command. Returns the exit status: 0 if everything was done, 1 if some letters could not
/// be processed.
///
/// # Errors
/// See [`DlqError`].
pub async fn run(command: &DlqCommand, settings: &Settings) -> Result<u8, DlqError> {
    let options = connect_options(&settings.database, "notifier dlq");
    let mut database = timeout(CONNECT_WITHIN, PgConnection::connect_with(&options))
        .await
        .map_err(|_| DlqError::Silent)??;
    let status = match command {
        DlqCommand::List { filter, all, limit, json } => {
            list(&mut database, filter, *all, *limit, *json).await?;
            0
        }
        DlqCommand::Show { id, json } => {
            let letter = queries::one(&mut database, *id).await?.ok_or(DlqError::Unknown(*id))?;
            print::letter(&letter, *json)?;
            0
        }
        DlqCommand::Replay(change) => resolve(&mut database, change, Some(settings)).await?,
        DlqCommand::Drop(change) => resolve(&mut database, change, None).await?,
    };
    let _ = database.close().await;
    Ok(status)
}

async fn list(
    database: &mut PgConnection,
    filter: &Filter,
    all: bool,
    limit: i64,
    json: bool,
) -> Result<(), DlqError> {
    let matched = queries::matching(database, filter, all).await?;
    let mut listed = print::List::begin(matched.count, json)?;
    let (mut last, mut left) = (0, limit);
    while left > 0 {
        let page =
            queries::page(database, filter, all, last, matched.highest, left.min(PAGE)).await?;
        let Some(end) = page.last() else { break };
        (last, left) = (end.id, left - i64::try_from(page.len()).unwrap_or(i64::MAX));
        listed.add(&page)?;
    }
    Ok(listed.end()?)
}

/// Drops the letters that match and are unresolved, or replays them with the given settings.
async fn resolve(
    database: &mut PgConnection,
    change: &Change,
    replay: Option<&Settings>,
) -> Result<u8, DlqError> {
    let Change { filter, dry_run, yes, json } = change;
    let verb = if replay.is_some() { "replay" } else { "drop" };
    let matched = queries::matching(database, filter, false).await?;
    let mut outcome = Outcome::new(verb, matched.count, *dry_run);
    let mut changed = Ok(());
    if !dry_run && matched.count > 0 {
        if *yes {
            eprintln!("{verb} {}", count_of(matched.count));
        }
        if *yes || confirm(verb, matched.count)? {
            let replay = replay.map(Replay::new);
            let all = change_all(database, filter, matched.highest, replay.as_ref(), &mut outcome);
            changed = all.await;
        }
    }
    // After an error, too: pages before it are done.
    outcome.print(*json)?;
    changed?;
    Ok(u8::from(!outcome.failed.is_empty()))
}

/// Replays or drops all letters that match, up to the id `highest`, a page per transaction.
async fn change_all(
    database: &mut PgConnection,
    filter: &Filter,
    highest: i64,
    replay: Option<&Replay>,
    outcome: &mut Outcome,
) -> Result<(), DlqError> {
    let mut last = 0;
    loop {
        let mut transaction = database.begin().await?;
        let page = queries::lock(&mut transaction, filter, last, highest, PAGE).await?;
        let Some(end) = page.last() else { return Ok(()) };
        last = end.id;
        let (ids, resolution) = match replay {
            None => (page.iter().map(|letter| letter.id).collect(), "dropped"),
            Some(replay) => {
                let (done, failed) = replay.letters(&mut transaction, &page).await?;
                outcome.failed.extend(failed);
                (done, "replayed")
            }
        };
        queries::resolve(&mut transaction, &ids, resolution).await?;
        transaction.commit().await?;
        outcome.done += ids.len();
    }
}

/// Asks the person at the terminal.
fn confirm(verb: &str, count: i64) -> Result<bool, DlqError> {
    if !io::stdin().is_terminal() {
        return Err(DlqError::Unconfirmed(count));
    }
    eprint!("{verb} {}? [y/N] ", count_of(count));
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
