//! The actor that most tests use, and helpers to wait and to read metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, ArbiterHandle, Context, Handler};
use shared_actors::actor::{ActorOptions, Arbiters, AskError, Backoff, Command, Envelope, Handle};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// A worker's task. The worker records each step that it takes.
pub enum Work {
    /// Answers at once.
    Echo(usize),
    /// Answers when the test opens the door.
    Wait(usize),
    /// Never answers.
    Panic,
}

impl Command for Work {
    type Output = usize;
    type Error = AskError;
    const NAME: &'static str = "work";
}

pub struct WorkerActor {
    door: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
}

impl Actor for WorkerActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<Work>> for WorkerActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Work>, _: &mut Context<Self>) {
        let Some((work, responder)) = envelope.begin() else { return };
        self.begun.fetch_add(1, Ordering::SeqCst);
        match work {
            Work::Echo(number) => {
                responder.answer(Ok(number));
            }
            Work::Wait(number) => {
                let door = Arc::clone(&self.door);
                actix::spawn(async move {
                    let _ = door.acquire().await.unwrap();
                    responder.answer(Ok(number));
                });
            }
            Work::Panic => panic!("as the test wants it"),
        }
    }
}

pub struct Worker {
    pub handle: Handle<WorkerActor>,
    pub door: Arc<Semaphore>,
    pub begun: Arc<AtomicUsize>,
}

pub fn worker(options: ActorOptions, arbiters: &Arbiters) -> Worker {
    worker_on(arbiters.pick(0), options)
}

pub fn worker_on(arbiter: &ArbiterHandle, options: ActorOptions) -> Worker {
    let door = Arc::new(Semaphore::new(0));
    let begun = Arc::new(AtomicUsize::new(0));
    let (actor_door, actor_begun) = (Arc::clone(&door), Arc::clone(&begun));
    let handle = Handle::supervise(options, arbiter, move |_| WorkerActor {
        door: Arc::clone(&actor_door),
        begun: Arc::clone(&actor_begun),
    });
    Worker { handle, door, begun }
}

/// Waits until `condition` holds. Fails the test if that takes more than 20 s.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// The value of a counter or gauge, found by the beginning of its line.
pub fn metric(line: &str) -> usize {
    let text = prometheus::TextEncoder::new().encode_to_string(&prometheus::gather()).unwrap();
    let found =
        text.lines().find_map(|candidate| candidate.strip_prefix(line)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no metric {line} in\n{text}"))
}

pub fn quick_restarts(name: &'static str) -> ActorOptions {
    let backoff = Backoff { first: Duration::from_millis(5), max: Duration::from_millis(50) };
    ActorOptions::new(name).backoff(backoff)
}
