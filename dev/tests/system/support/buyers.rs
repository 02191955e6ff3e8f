//! Buyers who put load on several instances of loms at once, and leave none of their orders half-way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::task::{JoinHandle, spawn};
use tokio::time::timeout;
use tonic::{Code, Status};

use super::{LomsClient, new_user};

/// How long a buyer waits for one instance before the next one is asked the same.
const PATIENCE: Duration = Duration::from_secs(2);
/// The last purchase is through by then, whatever happened to the instances.
const ENDS_WITHIN: Duration = Duration::from_mins(1);

/// What an instance says that is overloaded, ends, or is gone; after a thaw it hangs up on those who hung up on it.
const PASSING: [Code; 5] =
    [Code::Unavailable, Code::DeadlineExceeded, Code::ResourceExhausted, Code::Cancelled, Code::Unknown];

/// An order that somebody bought, and how that ended.
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
    /// Lets `count` buyers loose on these instances. Each of them buys one piece of each SKU in turn, and pays for it,
    /// except that every fifth order of the first SKU is cancelled.
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

    /// Lets each buyer finish, and returns all that they bought.
    pub async fn end(self) -> Vec<Purchase> {
        self.enough.store(true, Ordering::Relaxed);
        let all = timeout(ENDS_WITHIN, join_all(self.buyers)).await.expect("each buyer finishes");
        all.into_iter().flat_map(Result::unwrap).collect()
    }
}

/// One purchase, whose every step is asked of one instance after the other until it is done; nothing when the SKU was
/// sold out.
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
        // One that is gone says so at once: the others need the time more.
        tokio::task::yield_now().await;
    }
    unreachable!("there is one instance at least")
}
