# Sourced by benchmarks after services.sh: request bodies of OrderCreate, stock for them, and metrics.

# Stock that no load sells out, and a thousand SKUs in addition to the seeded ones.
fill_stock() {
  sql "$SHOP_TEST_POSTGRES_0" "${name}_loms" "UPDATE stock SET total_count = 1000000000;
  INSERT INTO stock (sku, total_count, reserved_count) SELECT sku, 1000000000, 0 FROM generate_series(1, 1000) sku ON CONFLICT DO NOTHING;
  INSERT INTO stock_seed SELECT sku, total_count FROM stock ON CONFLICT (sku) DO UPDATE SET total_count = excluded.total_count"
}
varint() { # a number in protobuf encoding, as escapes for printf
  local number=$1
  while ((number >= 128)); do printf '\\x%02x' $((number & 127 | 128)); ((number >>= 7)) || true; done
  printf '\\x%02x' "$number"
}
order_body() { # user, SKUs: OrderCreateRequest{order{user, items[{sku, count 1}]}} in a gRPC frame
  local sku item length order request
  order="\\x10$(varint "$1")"
  shift
  for sku in "$@"; do
    item="\\x08$(varint "$sku")\\x10\\x01"
    order+="\\x1a$(varint $((${#item} / 4)))$item"
  done
  request="\\x0a$(varint $((${#order} / 4)))$order"
  length=$((${#request} / 4))
  printf "\\x00\\x00\\x00$(printf '\\x%02x\\x%02x' $((length / 256)) $((length % 256)))$request"
}
cpu_ms() { awk '{ print ($14 + $15) * 10 }' "/proc/$1/stat"; }

metric() { # the sum of all samples of loms whose line matches a pattern
  curl -s "http://127.0.0.1:$loms_http/metrics" | awk -v pattern="$1" '$0 ~ pattern { sum += $NF } END { printf "%d", sum }'
}
created='^api_requests_total.*status="OK".*OrderCreate'
events_are_out() { # waits until the relay has published everything, so that the next load is not affected
  for _ in $(seq 1 600); do [ "$(metric '^outbox_backlog')" = 0 ] && return 0; sleep 0.1; done
  echo "bench: the events of a load were not published within a minute" >&2; exit 1
}
