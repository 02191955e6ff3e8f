//! Work that one batch does for many requests.

use futures::future::join_all;

use crate::support::{Collector, Loms, SOON, Servers, Span, Trace, eventually, new_user};

#[tokio::test]
async fn a_batch_stands_in_one_trace_and_is_linked_with_the_commands_of_the_others() {
    let collector = Collector::start().await;
    let loms = Loms::start(&Servers::from_env(), collector.settings()).await;
    let sku = loms.stock(1000).await;
    let clients: Vec<_> =
        (0..40).map(|_| loms.client().with("traceparent", &Trace::begin().traceparent())).collect();
    join_all(
        clients.iter().map(async |client| client.create(new_user(), &[(sku, 1)]).await.unwrap()),
    )
    .await;

    let linked =
        |span: &&Span| span.name == "order_shard create_order batch" && !span.links.is_empty();
    let (batch, all) = eventually(SOON, "a batch of several orders has come", async || {
        let all = collector.all();
        let commands = all.iter().filter(|span| span.name == "order_shard create_order").count();
        let batch = all.iter().find(linked).cloned().filter(|_| commands == clients.len());
        batch.map(|batch| (batch, all))
    })
    .await;
    assert_eq!(batch.links.len(), usize::try_from(batch.numbers["actor.batch.size"]).unwrap() - 1);
    let find = |id: &str| all.iter().find(|span| span.id == id).unwrap();
    let continued = find(&batch.parent);
    assert_eq!(
        (continued.trace.as_str(), continued.name.as_str()),
        (batch.trace.as_str(), "order_shard create_order")
    );
    for (trace, id) in &batch.links {
        let command = find(id);
        assert_eq!((&command.trace, command.name.as_str()), (trace, "order_shard create_order"));
        assert_ne!(*trace, batch.trace);
        assert_eq!(command.links, [(batch.trace.clone(), batch.id.clone())], "the way back");
    }
}
