#!/usr/bin/env bash
# Lets schemathesis invent requests from the OpenAPI documents of cart and loms, and check every answer against them, on
# servers of its own:
#   make schemathesis
# CASES is how many at the least (20,000 unless set), SEED repeats a run.
set -euo pipefail
cd "$(dirname "$0")/../.."

tool=.stack/cache/schemathesis/bin/schemathesis
[ -x "$tool" ] || { echo "schemathesis: it is missing (make schemathesis installs it)" >&2; exit 1; }
cases=${CASES:-20000}
seed=${SEED:-$RANDOM}
. dev/scripts/services.sh
start_loms "$SHOP_TEST_KAFKA"
# The pace and the number of commands are no limits here: what is checked is what answers look like.
start_cart REQUESTS_PER_SECOND=100000
sql "$SHOP_TEST_POSTGRES_0" "${name}_loms" "UPDATE stock SET total_count = 1000000000"

# More than half of the cases each, for some operations have fewer different ones; a document's operations share
# them.
check() { # name, port, operations
  echo "== $1, seed $seed"
  # One worker: Python 3.11 counts the depth of its parser for all threads at once.
  PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS=dev/scripts/schemathesis_hooks.py "$tool" --config-file dev/schemathesis.toml run "http://127.0.0.1:$2/openapi.json" --phases examples,coverage,fuzzing --mode all \
    --max-examples $((cases * 7 / 10 / $3 + 1)) --seed "$seed" --workers 1 --checks all --continue-on-failure \
    --suppress-health-check all --warnings off --no-color | tee "$work/$1.report"
}
status=0
check cart "$cart_http" 5 || status=1
check loms "$loms_http" 7 || status=1
generated=$(sed -n 's/^ *\([0-9,]*\) generated.*/\1/p' "$work"/*.report | tr -d , | awk '{ sum += $1 } END { print sum + 0 }')
echo "$generated cases in all, seed $seed"
[ "$generated" -ge "$cases" ] || { echo "schemathesis: fewer than $cases cases" >&2; status=1; }
exit $status
