#!/usr/bin/env bash
# Measures the goodput of loms while clients ask for ten times more than it can hold, on private servers:
#   make overload
# Needs h2load (nghttp2-client); SECONDS_EACH sets how long each load lasts.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in h2load psql; do
  command -v "$tool" >/dev/null || { echo "overload: $tool is missing (make setup installs it)" >&2; exit 1; }
done
seconds=${SECONDS_EACH:-8}
. dev/scripts/services.sh
. dev/bench/orders.sh
# The capacity per shard. Four connections with 32 calls in flight each, two per shard, fill both shards.
export ACTOR_CAPACITY=64
users=(1 2 3 7) # on shards 1, 1, 0, 0
start_loms "$SHOP_TEST_KAFKA"
fill_stock

resident_mb() { awk '/^VmRSS:/ { printf "%d", $2 / 1024 }' "/proc/$loms_pid/status"; }
flood() { # seconds, calls in flight per connection, more arguments of h2load: four clients with one SKU each
  local duration=$1 in_flight=$2 client clients=()
  shift 2
  rm -f "$work"/h2load.*
  for client in 0 1 2 3; do
    order_body "${users[client]}" $((client + 1)) >"$work/body.$client"
    h2load -D "$duration" -c 1 -m "$in_flight" -t 1 "$@" -d "$work/body.$client" -H 'content-type: application/grpc' -H 'te: trailers' \
      "http://127.0.0.1:$loms_grpc/Loms/OrderCreate" >"$work/h2load.$client" 2>&1 &
    clients+=($!)
  done
  wait "${clients[@]}"
}
refusals='^api_requests_total.*status="RESOURCE_EXHAUSTED".*OrderCreate'
declare -A ok refused cpu
measure() { # name of the load, calls in flight per connection, more arguments of h2load: adds to the totals of the load
  local load=$1 ok_before refused_before cpu_before
  shift
  ok_before=$(metric "$created") refused_before=$(metric "$refusals") cpu_before=$(cpu_ms "$loms_pid")
  flood "$slice" "$@"
  cpu[$load]=$((${cpu[$load]:-0} + $(cpu_ms "$loms_pid") - cpu_before))
  goodput=$(($(metric "$created") - ok_before))
  ok[$load]=$((${ok[$load]:-0} + goodput))
  refused[$load]=$((${refused[$load]:-0} + $(metric "$refusals") - refused_before))
  events_are_out
}
show() { # name of the load, description
  awk -v what="$2" -v ok="${ok[$1]}" -v refused="${refused[$1]}" -v cpu="${cpu[$1]}" -v best="${ok[full]}" -v seconds=$((slice * rounds)) '
    BEGIN { printf "%-42s %6d /s created, %6.2f of the first, %6d /s refused, loms has %2d %% of a core\n",
      what, ok / seconds, ok / best, refused / seconds, cpu / seconds / 10 }'
}

# Short slices in turn, so that other work on the machine affects all loads equally.
slice=2 rounds=$((2 * seconds))
flood 5 32 # warms up the broker
events_are_out
before=$(resident_mb)
echo "$(nproc) cores, $rounds times $slice s each in turn, loms may hold 128 orders"
for _ in $(seq "$rounds"); do
  measure full 32
  rate=$((goodput / slice * 10 / 4))
  measure eager 320
  measure rated 320 --rps $((rate > 0 ? rate : 1))
done
show full "128 in flight"
show eager "1280 in flight, as fast as answers come"
show rated "1280 in flight, ten times the first rate"
echo "loms had $before MB before, and has $(resident_mb) MB now"
