//! Buyers that put load on several instances of loms at once, and leave no order unfinished.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::task::{JoinHandle, spawn};
use tokio::time::timeout;
use tonic::{Code, Status};

use super::{LomsClient, new_user};

/// How long a buyer waits for one instance before it sends the same call to the next one.
const PATIENCE: Duration = Duration::from_secs(2);
/// The last purchase is complete within this time, whatever happened to the instances.
const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// The errors of an instance that is overloaded, shutting down or dead. After a thaw, an instance
/// closes connections whose clients gave up.
const PASSING: [Code; 5] = [
    Code::Unavailable,
    Code::DeadlineExceeded,
    Code::ResourceExhausted,
    Code::Cancelled,
    Code::Unknown,
];

/// An order that a buyer made, and its final state.
#[derive(Debug, Clone)]
pub struct Purchase {
    pub order: i64,
    pub sku: u32,
    pub state: &'static str,
}

/// Buyers at work.
#[derive(Debug)]
pub struct Buyers {
    enough: Arc<AtomicBool>,
    buyers: Vec<JoinHandle<Vec<Purchase>>>,
}

impl Buyers {
    /// Starts `count` buyers on these instances. Each buys one piece of each SKU in turn and pays
    /// for it. Every fifth order of the first SKU is cancelled instead.
    pub fn start(count: usize, instances: &[LomsClient], skus: [u32; 2]) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let buy = |buyer: usize| {
            let (enough, mut instances) = (Arc::clone(&enough), instances.to_vec());
            let first = buyer % instances.len();
            instances.rotate_left(first);
            async move {
                let mut purchases = Vec::new();
                for turn in 0.. {
                    if enough.load(Ordering::Relaxed) {
                        break;
                    }
                    let sku = skus[turn % 2];
                    let state = if turn % 10 == 0 { "CANCELLED" } else { "PAYED" };
                    instances.rotate_left(1);
                    if let Some(order) = buy(&instances, sku, state).await {
                        purchases.push(Purchase { order, sku, state });
                    }
                }
                purchases
            }
        };
        let buyers = (0..count).map(|buyer| spawn(buy(buyer))).collect();
        Self { enough, buyers }
    }

    /// Lets each buyer finish, and returns all purchases.
    pub async fn end(self) -> Vec<Purchase> {
        self.enough.store(true, Ordering::Relaxed);
        let all = timeout(ENDS_WITHIN, join_all(self.buyers)).await.expect("each buyer finishes");
        all.into_iter().flat_map(Result::unwrap).collect()
    }
}

/// One purchase. Each step is sent to one instance after another until it succeeds. `None` if the
/// SKU was sold out.
async fn buy(instances: &[LomsClient], sku: u32, state: &'static str) -> Option<i64> {
    let user = new_user();
    let order = insist(instances, |loms| async move {
        match loms.create_keyed(user, &[(sku, 1)], "key").await {
            Ok(order) => Ok(Some(order)),
            Err(refusal) if refusal.code() == Code::FailedPrecondition => Ok(None),
            Err(refusal) => Err(refusal),
        }
    });
    let order = order.await?;
    insist(instances, |loms| async move {
        if state == "PAYED" { loms.pay(order).await } else { loms.cancel(order).await }
    })
    .await;
    Some(order)
}

async fn insist<T, F>(instances: &[LomsClient], call: impl Fn(LomsClient) -> F) -> T
where
    F: Future<Output = Result<T, Status>>,
{
    for loms in instances.iter().cycle() {
        match timeout(PATIENCE, call(loms.clone())).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(refusal)) => {
                assert!(PASSING.contains(&refusal.code()), "{refusal}");
            }
            Err(_) => {}
        }
        // A dead instance fails at once, and the others need the CPU time more.
        tokio::task::yield_now().await;
    }
    unreachable!("there is one instance at least")
}
