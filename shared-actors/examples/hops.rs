//! What asking an actor costs: the same million questions on one thread, across two, and through group commit.
//!
//! `cargo run --release -p shared-actors --example hops`

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, Context, Handler};
use futures::stream::{self, StreamExt};
use shared_actors::actor::{
    ActorOptions, Arbiters, AskError, BatchActor, Command, Commit, Envelope, Handle, KeyedHandle,
    KeyedOptions,
};

const QUESTIONS: u32 = 1_000_000;
const IN_FLIGHT: usize = 64;

struct Double(u32);
impl Command for Double {
    type Output = u64;
    type Error = AskError;
    const NAME: &'static str = "double";
}

struct DoubleActor;
impl Actor for DoubleActor {
    type Context = Context<Self>;
}
impl Handler<Envelope<Double>> for DoubleActor {
    type Result = ();
    fn handle(&mut self, envelope: Envelope<Double>, _: &mut Context<Self>) {
        let Some((Double(number), responder)) = envelope.begin() else { return };
        responder.answer(Ok(u64::from(number) * 2));
    }
}

struct BatchDouble;
impl Commit<Double> for BatchDouble {
    async fn commit(&self, batch: Vec<Double>) -> Vec<Result<u64, AskError>> {
        batch.into_iter().map(|Double(number)| Ok(u64::from(number) * 2)).collect()
    }
}

async fn measure<F: Future<Output = Result<u64, AskError>>>(name: &str, ask: impl Fn(u32) -> F) {
    let started = Instant::now();
    let answered: u64 = stream::iter(0..QUESTIONS)
        .map(ask)
        .buffer_unordered(IN_FLIGHT)
        .fold(0, |answered, answer| async move { answered + u64::from(answer.is_ok()) })
        .await;
    let nanoseconds = started.elapsed().as_nanos() / u128::from(QUESTIONS);
    println!("{name:<44} {nanoseconds:>6} ns per question, {answered} answered");
}

#[actix::main]
async fn main() {
    for (name, threads) in [("one thread", 0), ("two threads", 1)] {
        let arbiters = Arbiters::new(threads);
        let plain =
            Handle::supervise(ActorOptions::new("plain"), arbiters.pick(0), |_| DoubleActor);
        measure(&format!("{name}: ask an actor"), |number| plain.ask(Double(number))).await;
        let batching = BatchActor::start(
            ActorOptions::new("batching"),
            arbiters.pick(0),
            Arc::new(BatchDouble),
        );
        measure(&format!("{name}: ask through group commit"), |number| {
            batching.ask(Double(number))
        })
        .await;
        let keyed = KeyedHandle::new(KeyedOptions::new("keyed"), arbiters, |_: &u32| DoubleActor);
        let keyed = &keyed;
        measure(&format!("{name}: ask one of 1,000 keyed actors"), |number| async move {
            keyed.ask(&(number % 1000), Double(number)).await
        })
        .await;
    }
}
