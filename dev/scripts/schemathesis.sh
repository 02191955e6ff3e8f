#!/usr/bin/env bash
# Runs schemathesis on private servers. It generates requests from the OpenAPI documents of cart and loms, and checks every
# answer against them. It also sends requests without a token and with a wrong one:
#   make schemathesis
# CASES is the minimum number of requests (20,000 unless set). SEED repeats a run.
set -euo pipefail
cd "$(dirname "$0")/../.."

tool=.stack/cache/schemathesis/bin/schemathesis
[ -x "$tool" ] || { echo "schemathesis is missing (make schemathesis installs it)" >&2; exit 1; }
cases=${CASES:-20000}
seed=${SEED:-$RANDOM}
. dev/scripts/services.sh
token=$(dev/scripts/token.sh "$work" 1 shop.any-user shop.operator)
echo "$token" >"$work/token"
identity=(JWT_JWKS_FILE="$work/keys.json" JWT_ISSUER=local JWT_AUDIENCE=shop)
start_loms "$SHOP_TEST_KAFKA" "${identity[@]}"
# No rate limit: this checks the form of the answers.
start_cart REQUESTS_PER_SECOND=100000 LOMS_TOKEN_FILE="$work/token" "${identity[@]}"
sql "$SHOP_TEST_POSTGRES_0" "${name}_loms" "UPDATE stock SET total_count = 1000000000"

# Each document gets more than half of the cases, shared by its operations, because some operations have fewer distinct
# cases.
check() { # name, port, operations
  echo "== $1, seed $seed"
  # One worker: Python 3.11 counts the recursion depth of its parser over all threads together.
  PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS=dev/scripts/schemathesis_hooks.py "$tool" --config-file dev/schemathesis.toml run "http://127.0.0.1:$2/openapi.json" --header "Authorization: Bearer $token" \
    --phases examples,coverage,fuzzing --mode all \
    --max-examples $((cases * 7 / 10 / $3 + 1)) --seed "$seed" --workers 1 --checks all --continue-on-failure \
    --suppress-health-check all --warnings off --no-color | tee "$work/$1.report"
}
status=0
check cart "$cart_http" 5 || status=1
check loms "$loms_http" 7 || status=1
generated=$(sed -n 's/^ *\([0-9,]*\) generated.*/\1/p' "$work"/*.report | tr -d , | awk '{ sum += $1 } END { print sum + 0 }')
echo "$generated cases in total, seed $seed"
[ "$generated" -ge "$cases" ] || { echo "schemathesis: fewer than $cases cases" >&2; status=1; }
exit $status
