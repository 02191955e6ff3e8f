//! What asking an actor costs, beside what it is built of: a channel of tokio and an address of actix.
//!
//! `cargo bench -p shared-actors`
//!
//! Each measurement asks 1,000 questions, 64 at a time, on one thread or across two.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;

use actix::{Actor, Arbiter, Context, Handler, Message};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::stream::{self, StreamExt};
use shared_actors::actor::{
    ActorOptions, Arbiters, AskError, BatchActor, Command, Commit, Envelope, Handle, KeyedHandle,
    KeyedOptions,
};
use tokio::sync::{mpsc, oneshot};

const QUESTIONS: u32 = 1_000;
const IN_FLIGHT: usize = 64;

struct Double(u32);

impl Command for Double {
    type Output = u64;
    type Error = AskError;
    const NAME: &'static str = "double";
}

impl Message for Double {
    type Result = u64;
}

struct DoubleActor;

impl Actor for DoubleActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(IN_FLIGHT);
    }
}

impl Handler<Envelope<Double>> for DoubleActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<Double>, _: &mut Context<Self>) {
        let Some((Double(number), responder)) = envelope.begin() else { return };
        responder.answer(Ok(u64::from(number) * 2));
    }
}

impl Handler<Double> for DoubleActor {
    type Result = u64;

    fn handle(&mut self, Double(number): Double, _: &mut Context<Self>) -> u64 {
        u64::from(number) * 2
    }
}

struct BatchDouble;

impl Commit<Double> for BatchDouble {
    async fn commit(&self, batch: Vec<Double>) -> Vec<Result<u64, AskError>> {
        batch.into_iter().map(|Double(number)| Ok(u64::from(number) * 2)).collect()
    }
}

type Question = (u32, oneshot::Sender<u64>);

async fn double_all(mut questions: mpsc::Receiver<Question>) {
    while let Some((number, answer)) = questions.recv().await {
        let _ = answer.send(u64::from(number) * 2);
    }
}

async fn all<F: Future<Output = Option<u64>>>(ask: impl Fn(u32) -> F) {
    let answers = stream::iter(0..QUESTIONS).map(ask).buffer_unordered(IN_FLIGHT);
    let sum = answers.fold(0, |sum, answer| async move { sum + answer.unwrap_or_default() }).await;
    assert_eq!(black_box(sum), u64::from(QUESTIONS) * u64::from(QUESTIONS - 1), "all are answered");
}

fn asks(criterion: &mut Criterion) {
    let system = actix::System::new();
    for (place, threads) in [("within a thread", 0), ("across threads", 1)] {
        let mut group = criterion.benchmark_group(format!("ask {place}"));
        group.throughput(Throughput::Elements(u64::from(QUESTIONS)));
        let mut measure = |name: &str, ask: &mut dyn FnMut()| {
            group.bench_function(name, |bencher| bencher.iter(&mut *ask));
        };

        let (sender, receiver) = mpsc::channel::<Question>(IN_FLIGHT);
        let other = Arbiter::new();
        system.block_on(async {
            if threads == 0 {
                actix::spawn(double_all(receiver));
            } else {
                other.spawn(double_all(receiver));
            }
        });
        let question = |number| {
            let sender = sender.clone();
            async move {
                let (answer, answered) = oneshot::channel();
                sender.send((number, answer)).await.ok()?;
                answered.await.ok()
            }
        };
        measure("tokio mpsc and oneshot", &mut || system.block_on(all(question)));

        let address = system.block_on(async {
            if threads == 0 {
                DoubleActor.start()
            } else {
                DoubleActor::start_in_arbiter(&other.handle(), |_| DoubleActor)
            }
        });
        let question = |number| {
            let address = address.clone();
            async move { address.send(Double(number)).await.ok() }
        };
        measure("actix Addr::send", &mut || system.block_on(all(question)));

        let arbiters = system.block_on(async { Arbiters::new(threads) });
        let start = |name| (ActorOptions::new(name), arbiters.pick(0));
        let plain = system.block_on(async {
            let (options, arbiter) = start("plain");
            Handle::supervise(options, arbiter, |_| DoubleActor)
        });
        let question = |number| {
            let plain = &plain;
            async move { plain.ask(Double(number)).await.ok() }
        };
        measure("Handle::ask", &mut || system.block_on(all(question)));

        let batching = system.block_on(async {
            let (options, arbiter) = start("batching");
            BatchActor::start(options, arbiter, Arc::new(BatchDouble))
        });
        let question = |number| {
            let batching = &batching;
            async move { batching.ask(Double(number)).await.ok() }
        };
        measure("Handle::ask through group commit", &mut || system.block_on(all(question)));

        let keyed = system.block_on(async {
            KeyedHandle::new(KeyedOptions::new("keyed"), arbiters.clone(), |_: &u32| DoubleActor)
        });
        let question = |number| {
            let keyed = &keyed;
            async move { keyed.ask(&(number % 100), Double(number)).await.ok() }
        };
        measure("KeyedHandle::ask, 100 keys", &mut || system.block_on(all(question)));
        other.stop();
    }
}

criterion_group!(benches, asks);
criterion_main!(benches);
