#!/usr/bin/env bash
# Measures what loms still gets done while ten times more is asked than it can hold, on servers of its own:
#   make bench
# Needs h2load (nghttp2-client); SECONDS_EACH sets how long each load lasts.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in h2load psql; do
  command -v "$tool" >/dev/null || { echo "overload: $tool is missing (make setup installs it)" >&2; exit 1; }
done
seconds=${SECONDS_EACH:-8}
. dev/scripts/services.sh
. dev/bench/orders.sh
# Of each shard: four connections of 32 calls in flight, two for each shard, fill both.
export ACTOR_CAPACITY=64
users=(1 2 3 7) # of shards 1, 1, 0, 0
start_loms "$SHOP_TEST_KAFKA"
fill_stock

resident_mb() { awk '/^VmRSS:/ { printf "%d", $2 / 1024 }' "/proc/$loms_pid/status"; }
flood() { # seconds, in flight on each connection, more arguments of h2load: four clients with one SKU each
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
goodput=0
measure() { # name, in flight on each connection, more arguments of h2load
  local name=$1 ok refused cpu before
  shift
  before=$(resident_mb) ok=$(metric "$created") refused=$(metric "$refusals") cpu=$(cpu_ms "$loms_pid")
  flood "$seconds" "$@"
  cpu=$(($(cpu_ms "$loms_pid") - cpu)) ok=$(($(metric "$created") - ok)) refused=$(($(metric "$refusals") - refused))
  goodput=$((ok / seconds))
  printf '%-42s %6d /s created, %7d /s refused, loms has %3d %% of a core and %d MB (%d before)\n' \
    "$name" "$goodput" $((refused / seconds)) $((cpu / seconds / 10)) "$(resident_mb)" "$before"
  events_are_out
}
median() { printf '%s\n' "$@" | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
ratio() { # name, goodput: beside the one at capacity
  awk -v name="$1" -v part="$2" -v best="$best" 'BEGIN { printf "%-42s %6.2f of the goodput at capacity\n", name, best ? part / best : 0 }'
}

echo "$(nproc) cores, $seconds s each, loms may hold 128 orders; medians of three rounds"
flood 5 32 # so that nobody measures a cold broker
events_are_out
at_capacity=() eager=() rated=()
for _ in 1 2 3; do
  measure "128 in flight" 32; at_capacity+=("$goodput")
  measure "1280 in flight, as fast as answers come" 320; eager+=("$goodput")
  measure "1280 in flight, ten times that rate" 320 --rps $((at_capacity[-1] * 10 / 4)); rated+=("$goodput")
done
best=$(median "${at_capacity[@]}")
ratio "1280 in flight, as fast as answers come" "$(median "${eager[@]}")"
ratio "1280 in flight, ten times that rate" "$(median "${rated[@]}")"
