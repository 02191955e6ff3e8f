# Sourced by scripts that run within `stack test`. Starts the built services on the servers of the run, and stops them when
# the script ends.

: "${SHOP_TEST_POSTGRES_0:?run me through make}" "${SHOP_TEST_POSTGRES_1:?}" "${SHOP_TEST_REDIS:?}" "${SHOP_TEST_KAFKA:?}"
bin=${SHOP_TEST_BIN_DIR:?}
work=$(mktemp -d)
pids=()
stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap stop EXIT

# The prefix of the database names of this script's services.
name=$(basename "$0" .sh)
export PGPASSWORD=postgres
sql() { psql -qAt -h "${1%:*}" -p "${1#*:}" -U postgres -d "$2" -c "$3"; }
ready() { # url of a readiness check, name
  for _ in $(seq 1 300); do curl -sf "$1" >/dev/null && return 0; sleep 0.1; done
  echo "$name: $2 did not become ready:" >&2; tail -20 "$work/$2.log" >&2; exit 1
}
free_ports() { "$bin/stack" free-ports "$1"; }

read -r loms_http loms_grpc cart_http products < <(free_ports 4)
"$bin/product-stand-in" --port "$products" >"$work/products.log" 2>&1 & pids+=($!)
shards() {
  echo "DATABASE_MASTER_HOST_PORT_0=$SHOP_TEST_POSTGRES_0 DATABASE_MASTER_NAME_0=${name}_$1 DATABASE_MASTER_HOST_PORT_1=$SHOP_TEST_POSTGRES_1 DATABASE_MASTER_NAME_1=${name}_$1"
}
start_loms() { # a Kafka broker, additional settings
  local kafka=$1
  shift
  env $(shards loms) RUST_LOG=warn KAFKA_BROKER="$kafka" KAFKA_TOPIC="$name.order-events" \
    HTTP_PORT="127.0.0.1:$loms_http" GRPC_HOST_PORT="127.0.0.1:$loms_grpc" "$@" "$bin/loms" >>"$work/loms.log" 2>&1 & pids+=($!)
  loms_pid=$!
  ready "http://127.0.0.1:$loms_http/readyz" loms
}
start_cart() { # additional settings
  env $(shards cart) RUST_LOG=warn HOST_PORT="127.0.0.1:$cart_http" LOMS_BASE_URL="http://127.0.0.1:$loms_grpc" \
    REDIS_ADDRESS="$SHOP_TEST_REDIS" PRODUCT_SERVICE_BASE_URL="http://127.0.0.1:$products" "$@" \
    "$bin/cart" >"$work/cart.log" 2>&1 & pids+=($!)
  cart_pid=$!
  ready "http://127.0.0.1:$cart_http/readyz" cart
}
