#!/usr/bin/env bash
# Measures the goodput of cart while clients ask for ten times more than it admits, and its memory while many users are seen
# once, on private servers:
#   make overload
# Needs wrk; SECONDS_EACH sets how long each load lasts.
set -euo pipefail
cd "$(dirname "$0")/../.."

for tool in wrk psql; do
  command -v "$tool" >/dev/null || { echo "overload-carts: $tool is missing (make setup installs it)" >&2; exit 1; }
done
seconds=${SECONDS_EACH:-8}
. dev/scripts/services.sh
. dev/bench/orders.sh
start_loms 127.0.0.1:1
start_cart CART_CAPACITY=64 CART_MAX_LIVE=10000
fill_stock

resident_mb() { awk '/^VmRSS:/ { printf "%d", $2 / 1024 }' "/proc/$cart_pid/status"; }
answers() { # status: how many additions were answered with it
  curl -s "http://127.0.0.1:$cart_http/metrics" |
    awk -v status="status=\"$1\"" '/^api_requests_total/ && /POST/ && index($0, status) { sum += $NF } END { printf "%d", sum }'
}
live() { curl -s "http://127.0.0.1:$cart_http/metrics" | awk '/^actor_live\{actor="cart"\}/ { printf "%d", $2 }'; }
load() { # seconds, connections, what
  wrk -t1 -c"$2" -d"$1s" -s dev/bench/cart.lua "http://127.0.0.1:$cart_http" -- "$3" >"$work/wrk" 2>&1
}
declare -A ok refused cpu
measure() { # name of the load, connections
  local ok_before refused_before cpu_before
  ok_before=$(answers 200) refused_before=$(answers 429) cpu_before=$(cpu_ms "$cart_pid")
  load "$slice" "$2" add
  ok[$1]=$((${ok[$1]:-0} + $(answers 200) - ok_before))
  refused[$1]=$((${refused[$1]:-0} + $(answers 429) - refused_before))
  cpu[$1]=$((${cpu[$1]:-0} + $(cpu_ms "$cart_pid") - cpu_before))
}
show() { # name of the load, description
  awk -v what="$2" -v ok="${ok[$1]}" -v refused="${refused[$1]}" -v cpu="${cpu[$1]}" -v best="${ok[full]}" -v seconds=$((slice * rounds)) '
    BEGIN { printf "%-42s %6d /s added, %6.2f of the first, %6d /s refused, cart has %2d %% of a core\n",
      what, ok / seconds, ok / best, refused / seconds, cpu / seconds / 10 }'
}

# Short slices in turn, so that other work on the machine affects both loads equally.
slice=2 rounds=$seconds
load 5 64 add # warms up
before=$(resident_mb)
echo "$(nproc) cores, $rounds times $slice s each in turn, cart admits 64 requests"
for _ in $(seq "$rounds"); do
  measure full 64
  measure eager 640
done
show full "64 connections"
show eager "640 connections, as fast as answers come"
echo "cart had $before MB before, and has $(resident_mb) MB now"

# Each user is seen once. At most 10,000 of them have an actor.
before=$(resident_mb) touched=0
for _ in $(seq 30); do
  load 2 64 touch
  touched=$((touched + $(awk -F'[= ]' '/^answers=/ { print $2 }' "$work/wrk")))
  [ "$touched" -lt 100000 ] || break
done
echo "$touched requests of users that are seen once: cart had $before MB before, has $(resident_mb) MB now, and $(live) actors"
