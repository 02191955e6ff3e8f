//! Converts messages to domain types. Every request passes through here. Errors name the field as
//! it is spelled in the message.

use crate::domain::{
    IdempotencyKey, InvalidArgument, Line, Lines, MAX_PAGE_SIZE, NewOrder, OrderId, Quantity,
    Restock, Sku, StockChange, UserId,
};

use super::proto;

impl TryFrom<proto::OrderCreateRequest> for NewOrder {
    type Error = InvalidArgument;

    /// Ignores `status` and `id` of the message: a new order has neither.
    fn try_from(request: proto::OrderCreateRequest) -> Result<Self, InvalidArgument> {
        let order = request.order.ok_or_else(|| InvalidArgument::new("order", "is required"))?;
        let user = UserId::try_from(order.user)?;
        let lines: Vec<Line> =
            order.items.into_iter().map(Line::try_from).collect::<Result<_, _>>()?;
        let key = match request.idempotency_key.as_str() {
            "" => None,
            key => Some(IdempotencyKey::try_from(key)?),
        };
        Ok(Self { user, lines: Lines::new(lines)?, key, traceparent: None })
    }
}

impl TryFrom<proto::Item> for Line {
    type Error = InvalidArgument;

    fn try_from(item: proto::Item) -> Result<Self, InvalidArgument> {
        Ok(Self { sku: Sku::try_from(item.sku)?, count: Quantity::try_from(item.count)? })
    }
}

/// Which orders a client wants to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// Maximum number of orders. `None` means as many as fit.
    pub size: Option<u32>,
    /// Lists only orders with lower ids. `None` means all.
    pub before: Option<OrderId>,
}

impl TryFrom<proto::OrdersAllRequest> for ListRequest {
    type Error = InvalidArgument;

    fn try_from(request: proto::OrdersAllRequest) -> Result<Self, InvalidArgument> {
        let size = match request.page_size {
            0 => None,
            size => Some(size.min(MAX_PAGE_SIZE)),
        };
        let before = match request.page_token.as_str() {
            "" => None,
            token => {
                let id = token.parse::<i64>().ok().and_then(|id| OrderId::try_from(id).ok());
                let wrong = || {
                    InvalidArgument::new(
                        "page_token",
                        "must be the next_page_token of an earlier answer",
                    )
                };
                Some(id.ok_or_else(wrong)?)
            }
        };
        Ok(Self { size, before })
    }
}

impl TryFrom<proto::StocksRestockRequest> for Restock {
    type Error = InvalidArgument;

    fn try_from(request: proto::StocksRestockRequest) -> Result<Self, InvalidArgument> {
        let sku = Sku::try_from(request.sku)?;
        let change = StockChange::try_from(request.count)?;
        let key = match request.idempotency_key.as_str() {
            "" => return Err(InvalidArgument::new("idempotency_key", "is required")),
            key => IdempotencyKey::try_from(key)?,
        };
        Ok(Self { sku, change, key, traceparent: None })
    }
}

/// Merges the keys sent with the request (metadata or header) into the message's own field.
///
/// # Errors
/// `InvalidArgument` if the keys differ from each other or from the field, or if one is not a valid
/// key.
pub fn merge_key<'a>(
    field: &mut String,
    beside: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), InvalidArgument> {
    const FIELD: &str = "idempotency_key";
    for bytes in beside {
        let key = std::str::from_utf8(bytes).unwrap_or_default();
        // An empty field means no key. An empty header is a mistake.
        let key = IdempotencyKey::try_from(key)?;
        if field.is_empty() {
            key.as_str().clone_into(field);
        } else if field != key.as_str() {
            return Err(InvalidArgument::new(FIELD, "is given twice with different values"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use service_kit::error::ServiceError;

    use super::*;

    #[test]
    fn fuzz_grpc_messages() {
        bolero::check!().for_each(|bytes: &[u8]| {
            if let Ok(Ok(order)) = proto::OrderCreateRequest::decode(bytes).map(NewOrder::try_from)
            {
                assert!(order.user.get() > 0 && !order.lines.is_empty());
                assert!(order.lines.windows(2).all(|pair| pair[0].sku < pair[1].sku));
            }
            if let Ok(Ok(list)) = proto::OrdersAllRequest::decode(bytes).map(ListRequest::try_from)
            {
                assert!(list.size.is_none_or(|size| (1..=MAX_PAGE_SIZE).contains(&size)));
            }
            if let Ok(Ok(restock)) =
                proto::StocksRestockRequest::decode(bytes).map(Restock::try_from)
            {
                assert!(!restock.key.as_str().is_empty());
            }
        });
    }

    fn request(user: i64, items: &[(u32, u32)]) -> proto::OrderCreateRequest {
        let items = items.iter().map(|&(sku, count)| proto::Item { sku, count }).collect();
        let order = proto::Order { user, items, ..Default::default() };
        proto::OrderCreateRequest { order: Some(order), ..Default::default() }
    }

    fn field_at_fault(request: proto::OrderCreateRequest) -> Option<String> {
        NewOrder::try_from(request).err().and_then(|error| error.field().map(str::to_owned))
    }

    #[test]
    fn a_rule_that_is_broken_names_its_field() {
        let rows = [
            ("user", request(0, &[(1, 1)])),
            ("user", request(-1, &[(1, 1)])),
            ("user", request(i64::MIN, &[(1, 1)])),
            ("sku", request(1, &[(0, 1)])),
            ("count", request(1, &[(1, 0)])),
            ("count", request(1, &[(1, 1), (2, 0)])),
            ("items", request(1, &[])),
            ("items", request(1, &[(1, u32::MAX), (1, 1)])),
            ("order", proto::OrderCreateRequest::default()),
        ];
        for (field, request) in rows {
            assert_eq!(field_at_fault(request.clone()).as_deref(), Some(field), "{request:?}");
        }
    }

    #[test]
    fn the_largest_values_are_taken_and_duplicates_summed() {
        let order =
            NewOrder::try_from(request(i64::MAX, &[(u32::MAX, 1), (u32::MAX, u32::MAX - 1)]))
                .unwrap();
        assert_eq!(order.user.get(), i64::MAX);
        assert_eq!((order.lines[0].sku.get(), order.lines[0].count.get()), (u32::MAX, u32::MAX));
        assert_eq!(order.lines.len(), 1);
    }

    #[test]
    fn status_and_id_of_a_create_are_ignored() {
        let mut nonsense = request(1, &[(1, 1)]);
        let order = nonsense.order.as_mut().unwrap();
        (order.status, order.id) = ("BANANA".to_owned(), -7);
        assert_eq!(NewOrder::try_from(nonsense), NewOrder::try_from(request(1, &[(1, 1)])));
    }

    #[test]
    fn a_key_may_come_in_the_field_or_beside_it_but_only_as_one() {
        let with = |field: &str, beside: &[&[u8]]| {
            let mut request = request(1, &[(1, 1)]);
            field.clone_into(&mut request.idempotency_key);
            merge_key(&mut request.idempotency_key, beside.iter().copied())?;
            NewOrder::try_from(request).map(|order| order.key.map(|key| key.as_str().to_owned()))
        };
        assert_eq!(with("", &[]), Ok(None));
        let one: [(&str, &[&[u8]]); 4] =
            [("k", &[]), ("", &[b"k"]), ("k", &[b"k"]), ("", &[b"k", b"k"])];
        for (field, beside) in one {
            assert_eq!(with(field, beside), Ok(Some("k".to_owned())));
        }
        let not_one: [(&str, &[&[u8]]); 4] =
            [("k", &[b"l"]), ("", &[b"k", b"l"]), ("", &[b""]), ("", &[b"\xff"])];
        for (field, beside) in not_one {
            assert_eq!(
                with(field, beside).unwrap_err().field(),
                Some("idempotency_key"),
                "{field} {beside:?}"
            );
        }
        assert!(with(&"k".repeat(129), &[]).is_err());
    }

    #[test]
    fn a_restock_needs_a_sku_a_count_and_a_key() {
        let restock = |sku, count, key: &str| {
            let key = key.to_owned();
            Restock::try_from(proto::StocksRestockRequest { sku, count, idempotency_key: key })
        };
        assert_eq!(restock(1, -1, "k").unwrap().change.get(), -1);
        for (field, refused) in [("sku", restock(0, 1, "k")), ("count", restock(1, 0, "k"))] {
            assert_eq!(refused.unwrap_err().field(), Some(field));
        }
        assert_eq!(restock(1, 1, "").unwrap_err().public_message(), "idempotency_key: is required");
    }

    #[test]
    fn a_page_is_bounded_and_its_token_is_one_of_ours() {
        let page = |page_size, token: &str| {
            ListRequest::try_from(proto::OrdersAllRequest {
                page_size,
                page_token: token.to_owned(),
            })
        };
        assert_eq!(page(0, "").unwrap(), ListRequest { size: None, before: None });
        assert_eq!(page(u32::MAX, "").unwrap().size, Some(MAX_PAGE_SIZE));
        assert_eq!(
            page(7, "2001").unwrap(),
            ListRequest { size: Some(7), before: OrderId::try_from(2001).ok() }
        );
        for token in ["0", "-1", "x", "1.5", "9223372036854775808"] {
            assert_eq!(page(1, token).unwrap_err().field(), Some("page_token"), "{token}");
        }
    }
}
