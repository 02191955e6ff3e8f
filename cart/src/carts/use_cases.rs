//! What a client can do with a cart. Front-ends use only this module.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use futures::{future, join};
use service_kit::settings::Secret;
use service_kit::shard::ShardRouter;
use shared_actors::{crash_point, deadline};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::CartActors;
use super::admission::Admission;
use super::commands::{AddItem, Checkout, ClearCart, Keyed, RemoveItem};
use super::shard::CartShardHandle;
use super::state::Loaded;
use crate::checkout;
use crate::domain::{Cart, CartError, Line, OrderId, Quantity, Sku, UserId};
use crate::idempotency::{Claims, IdempotencyKey, KeyedRequest};
use crate::loms::StockHandle;
use crate::products::{Product, Products};

/// How many products one request looks up at once, so that a large cart leaves capacity of the
/// product service to others.
const LOOKUPS: usize = 10;
/// How long a request waits for a fresh product before it uses a stale one.
const FRESH_WITHIN: Duration = Duration::from_secs(1);
/// A checkout waits for the product service for half of this, or half of its remaining time if that
/// is less.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);

/// The carts of all users. Cheap to clone.
#[derive(Clone)]
pub struct Carts {
    actors: CartActors,
    shards: Arc<[CartShardHandle]>,
    router: ShardRouter,
    products: Products,
    stock: StockHandle,
    claims: Claims,
    admission: Admission,
}

/// A cart as its user sees it: never empty, ordered by SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartView {
    /// The lines.
    pub lines: Vec<PricedLine>,
    /// The sum of count times price, of the lines that have a price.
    pub total_price: u64,
}

/// A line with the product service's data for its SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedLine {
    /// The SKU and the number of pieces.
    pub line: Line,
    /// The name and price of the SKU. `None` if the product service no longer knows it.
    pub product: Option<Arc<Product>>,
}

enum Claimed {
    /// The request was done before. For a checkout, this is its order.
    Answered(Option<OrderId>),
    /// The request has to be done. With a key, the user's row was read.
    Go(Option<Keyed>, Option<Box<Loaded>>),
}

impl Carts {
    /// `shards` must be in the order of `router`.
    pub fn new(
        actors: CartActors,
        shards: Arc<[CartShardHandle]>,
        router: ShardRouter,
        products: Products,
        stock: StockHandle,
        admission: Admission,
    ) -> Self {
        Self { actors, shards, router, products, stock, claims: Claims::default(), admission }
    }

    /// Adds `count` pieces of `sku` to the cart, if the product service knows the SKU and enough
    /// pieces can be sold.
    ///
    /// # Errors
    /// Those of [`CartError`].
    pub async fn add(
        &self,
        user: UserId,
        sku: Sku,
        count: Quantity,
        key: Option<IdempotencyKey>,
    ) -> Result<(), CartError> {
        let _admitted = self.admission.admit(user)?;
        let request = || format!("POST /cart/{sku} count={}", count.get());
        let Claimed::Go(keyed, _) = self.claim(user, key, request).await? else { return Ok(()) };
        crash_point!("add::claimed");
        let available = self.available(user, sku).await?;
        crash_point!("add::checked");
        self.actors.ask(&user, AddItem { sku, count, available, keyed }).await
    }

    /// How many pieces of `sku` can be sold; the product service must know it. That service is
    /// asked last, because calls to it are limited. No call is spent on a SKU without stock, such
    /// as an invented one.
    async fn available(&self, user: UserId, sku: Sku) -> Result<u64, CartError> {
        let fresh_by = Instant::now() + FRESH_WITHIN;
        if self.products.remembers(sku) {
            let (product, available) =
                join!(self.products.find(user, sku, fresh_by), self.stock.available(sku));
            product?.ok_or(CartError::UnknownSku(sku))?;
            return Ok(available?);
        }
        let available = self.stock.available(sku).await?;
        if available > 0 {
            self.products.find(user, sku, fresh_by).await?.ok_or(CartError::UnknownSku(sku))?;
        }
        Ok(available)
    }

    /// Removes the line of `sku`, if there is one.
    ///
    /// # Errors
    /// Those of [`CartError`].
    pub async fn remove(&self, user: UserId, sku: Sku) -> Result<(), CartError> {
        let _admitted = self.admission.admit(user)?;
        self.actors.ask(&user, RemoveItem { sku }).await
    }

    /// Removes all lines.
    ///
    /// # Errors
    /// Those of [`CartError`].
    pub async fn clear(&self, user: UserId) -> Result<(), CartError> {
        let _admitted = self.admission.admit(user)?;
        self.actors.ask(&user, ClearCart).await
    }

    /// Returns the cart with names and prices. A product that the product service no longer knows has
    /// neither.
    ///
    /// # Errors
    /// `EmptyCart`, and those of [`Products::find`].
    pub async fn show(&self, user: UserId) -> Result<CartView, CartError> {
        let _admitted = self.admission.admit(user)?;
        let cart = self.shard(user).load(user, None).await?.stored.cart;
        if cart.is_empty() {
            return Err(CartError::EmptyCart);
        }
        let fresh_by = Instant::now() + FRESH_WITHIN;
        let priced = cart.lines().map(async |line| {
            let product = self.products.find(user, line.sku, fresh_by).await?;
            Ok::<_, CartError>(PricedLine { line, product })
        });
        let lines: Vec<PricedLine> = stream::iter(priced).buffered(LOOKUPS).try_collect().await?;
        // At most 1,000 products of a 16-bit and a 32-bit number, far below 64 bits.
        let price = |priced: &PricedLine| {
            let product = priced.product.as_ref()?;
            Some(u64::from(priced.line.count.get()) * u64::from(product.price))
        };
        let total_price = lines.iter().filter_map(price).sum();
        Ok(CartView { lines, total_price })
    }

    /// Orders the contents of the cart, with the token of the user if callers need one. If the open
    /// checkout takes everything in the cart, returns its order. Otherwise waits for it and orders
    /// the rest.
    ///
    /// # Errors
    /// Those of [`CartError`]. After `Unavailable` and `DeadlineExceeded` an order may exist. A
    /// repeated call with the same key returns it. Without a key, it does so for ten minutes while the
    /// cart is empty.
    pub async fn checkout(
        &self,
        user: UserId,
        key: Option<IdempotencyKey>,
        token: Option<Secret>,
    ) -> Result<OrderId, CartError> {
        let _admitted = self.admission.admit(user)?;
        let (keyed, loaded) = match self.claim(user, key, || checkout::REQUEST.to_owned()).await? {
            Claimed::Answered(order) => return order.ok_or(CartError::KeyReused),
            Claimed::Go(keyed, loaded) => (keyed, loaded),
        };
        let stored = match loaded {
            Some(loaded) => loaded.stored,
            None => self.shard(user).load(user, None).await?.stored,
        };
        // The pieces that an open checkout takes are already ordered.
        let rest = match &stored.intent {
            Some(open) => stored.cart.minus(&open.leaving),
            None => stored.cart,
        };
        self.none_is_lost(user, &rest).await?;
        self.actors.ask(&user, Checkout::new(keyed, token)).await
    }

    /// Refuses a cart with products that the product service no longer knows. If the service does not
    /// answer in time, the checkout continues: loms decides about stock.
    async fn none_is_lost(&self, user: UserId, cart: &Cart) -> Result<(), CartError> {
        let by = Instant::now() + (deadline::within(KNOWN_WITHIN) - Instant::now()) / 2;
        let lost = async |line: Line| {
            let found = timeout_at(by, self.products.find(user, line.sku, by)).await;
            matches!(found, Ok(Ok(None))).then_some(line)
        };
        let lost = stream::iter(cart.lines()).map(lost).buffered(LOOKUPS);
        let lost: Vec<Line> =
            lost.take_until(sleep_until(by)).filter_map(future::ready).collect().await;
        if lost.is_empty() { Ok(()) } else { Err(CartError::LostProducts(lost)) }
    }

    async fn claim(
        &self,
        user: UserId,
        key: Option<IdempotencyKey>,
        request: impl FnOnce() -> String,
    ) -> Result<Claimed, CartError> {
        let Some(key) = key else { return Ok(Claimed::Go(None, None)) };
        let claim = self.claims.claim(user, &key)?;
        let request = KeyedRequest { key, request: request() };
        // The user's actor checks again before it changes anything. The check here saves calls to
        // the dependencies for a repeated request.
        let loaded = self.shard(user).load(user, Some(request.key.clone())).await?;
        match &loaded.answer {
            Some(answer) => Ok(Claimed::Answered(answer.replay(&request)?)),
            None => Ok(Claimed::Go(Some(Keyed { request, claim }), Some(Box::new(loaded)))),
        }
    }

    fn shard(&self, user: UserId) -> &CartShardHandle {
        &self.shards[self.router.shard_of_user(user.get()).index()]
    }
}
