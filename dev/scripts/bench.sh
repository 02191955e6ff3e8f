#!/usr/bin/env bash
# Measures orders, carts and the limit of the database itself in one run, on private servers:
#   make bench
# Needs h2load (nghttp2-client), wrk and pgbench; SECONDS_EACH sets how long each load lasts.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in h2load wrk pgbench psql; do
  command -v "$tool" >/dev/null || { echo "bench: $tool is missing (make setup installs it)" >&2; exit 1; }
done
seconds=${SECONDS_EACH:-8}
. dev/scripts/services.sh
. dev/bench/orders.sh
start_loms "$SHOP_TEST_KAFKA"
start_cart
fill_stock

load_orders() { # seconds, distance, SKUs per order: four clients with 32 orders in flight each, for users on both shards
  local duration=$1 distance=$2 skus=$3 client first clients=()
  rm -f "$work"/h2load.*
  for client in 1 2 3 4; do
    first=$((client * distance + 1))
    # shellcheck disable=SC2046 # the SKUs are separate words
    order_body "$client" $(seq "$first" $((first + skus - 1))) >"$work/body.$client"
    h2load -D "$duration" -c 1 -m 32 -t 1 -d "$work/body.$client" -H 'content-type: application/grpc' -H 'te: trailers' \
      "http://127.0.0.1:$loms_grpc/Loms/OrderCreate" >"$work/h2load.$client" 2>&1 &
    clients+=($!)
  done
  wait "${clients[@]}"
}
orders() { # name of the load, distance between the SKUs of two clients, SKUs per order
  local name=$1 cpu ok events
  shift
  cpu=$(cpu_ms "$loms_pid") ok=$(metric "$created") events=$(metric '^events_published_total')
  load_orders "$seconds" "$@"
  cpu=$(($(cpu_ms "$loms_pid") - cpu)) ok=$(($(metric "$created") - ok)) events=$(($(metric '^events_published_total') - events))
  awk -v name="$name" -v cpu="$cpu" -v ok="$ok" -v events="$events" -v seconds="$seconds" '
    /^requests:/ { for (i = 1; i <= NF; i++) if ($i ~ /^(failed|errored|timeout)/) bad += $(i-1) }
    END { printf "%-34s %8.0f /s   %5.1f us of loms CPU each, %d failed, %.0f events/s published meanwhile\n",
      name, ok / seconds, ok ? cpu * 1000 / ok : 0, bad, events / seconds }' "$work"/h2load.[1-4]
}
carts() { # name, what
  local before after
  before=$(cpu_ms "$cart_pid")
  wrk -t1 -c64 -d"${seconds}s" -s dev/bench/cart.lua "http://127.0.0.1:$cart_http" -- "$2" >"$work/wrk" 2>&1
  after=$(cpu_ms "$cart_pid")
  awk -v name="$1" -v cpu=$((after - before)) -F'[= ]' '/^answers=/ {
    printf "%-34s %8.0f /s   %5.1f us of cart CPU each, %d failed, p50 %s ms, p99 %s ms\n", name, $2 / $6, cpu * 1000 / $2, $4, $8, $10 }' "$work/wrk"
}
one_statement() {
  sql "$SHOP_TEST_POSTGRES_1" postgres "CREATE DATABASE bench_limit" 2>/dev/null || true
  sql "$SHOP_TEST_POSTGRES_1" bench_limit "SET client_min_messages = warning; DROP TABLE IF EXISTS bench_stock, bench_orders, bench_events;
    CREATE TABLE bench_stock (sku bigint PRIMARY KEY, total_count bigint NOT NULL, reserved_count bigint NOT NULL);
    INSERT INTO bench_stock SELECT sku, 1000000000, 0 FROM generate_series(1, 1000) sku;
    CREATE TABLE bench_orders (id bigserial PRIMARY KEY, user_id bigint, state text, skus bigint[], counts bigint[]);
    CREATE TABLE bench_events (order_id bigint, sequence int, state text, PRIMARY KEY (order_id, sequence))"
  pgbench -n -h "${SHOP_TEST_POSTGRES_1%:*}" -p "${SHOP_TEST_POSTGRES_1#*:}" -U postgres -M prepared -c 64 -j 2 -T "$seconds" \
    -D sku_max="$1" -f dev/bench/one_statement_order.sql bench_limit 2>/dev/null |
    awk -v name="$2" '/^tps/ { printf "%-34s %8.0f /s\n", name, $3 }'
}

echo "$(nproc) cores, $seconds s each, 128 orders in flight, 64 cart requests in flight"
one_statement 1000 "pgbench, one order per statement"
one_statement 1 "pgbench, the same on one SKU"
load_orders 5 0 1 # warms up the broker
events_are_out
orders "OrderCreate, all of one SKU" 0 1
events_are_out
orders "OrderCreate, of four SKUs" 1 1
events_are_out
orders "OrderCreate, of forty SKUs, ten each" 10 10
events_are_out
carts "cart POST" add
carts "cart GET" show
kill "$loms_pid"; wait "$loms_pid" || true
start_loms 127.0.0.1:1
orders "OrderCreate, Kafka down" 1 1
