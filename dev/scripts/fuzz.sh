#!/usr/bin/env bash
# Runs each fuzz test (a unit test named `fuzz_…`) with libFuzzer for SECONDS_EACH seconds, starting from its corpus in
# `__fuzz__`. An input that fails is kept in `crashes` beside that corpus, and `make test` then fails on it as well. Inputs that
# reach new code are kept in target/fuzz/corpus for the next run.
#
#   ONLY=token SECONDS_EACH=60 dev/scripts/fuzz.sh
#
# ONLY selects tests by a part of their name.
set -euo pipefail
export RUST_BACKTRACE=0
cd "$(dirname "$0")/../.."

seconds=${SECONDS_EACH:-60}
packages=(shared-actors service-kit cart loms notifier)
folder=${CARGO_TARGET_DIR:-target}/fuzz
host=$(rustc --print host-tuple)

# The flags that cargo-bolero passes for libFuzzer. It is not used itself, because it cannot build only the unit tests.
coverage='-Cpasses=sancov-module'
for option in inline-8bit-counters level=4 pc-table trace-compares stack-depth; do
    coverage+=" -Cllvm-args=-sanitizer-coverage-$option"
done
mkdir -p "$folder"
echo 'Building the fuzz tests'
# With a target, build scripts and macros are not instrumented.
RUSTFLAGS="--cfg fuzzing --cfg fuzzing_libfuzzer $coverage" CARGO_TARGET_DIR=$folder \
    cargo test --quiet --profile fuzz --target "$host" --lib --no-run --message-format json "${packages[@]/#/--package=}" \
    >"$folder.json" || { jq -rs '.[].message.rendered // empty' "$folder.json" >&2; exit 1; }

fuzz() {
    local binary=$1 test=$2 own=$3 found=$folder/corpus/$2
    mkdir -p "$found" "$own/crashes"
    BOLERO_LIBFUZZER_ARGS="$found $own/corpus -artifact_prefix=$own/crashes/ -max_total_time=$seconds -timeout=10 -max_len=4096" \
        "$binary" "$test" --exact --nocapture >"$folder/$test.log" 2>&1 || return 1
    rmdir "$own/crashes" 2>/dev/null || true
}

passed=0 failed=0
while read -r binary; do
    while read -r test; do
        own=$(find . -path "*/__fuzz__/${test//::/__}" -not -path './target/*')
        [ -n "$own" ] || { echo "$test has no corpus: create __fuzz__/${test//::/__}/corpus beside its file" >&2; exit 1; }
        if fuzz "$binary" "$test" "$PWD/${own#./}"; then
            passed=$((passed + 1))
            printf 'ok    %s: %s\n' "$test" "$(grep -o 'Done [0-9]* runs in [0-9]* second' "$folder/$test.log" | tail -n 1)s"
        else
            failed=$((failed + 1))
            printf 'FAIL  %s\n' "$test"
            tail -n 15 "$folder/$test.log" | cut -c 1-500
        fi
    done < <("$binary" --list | sed -n 's/: test$//p' | grep -E "::fuzz_.*${ONLY:-}")
done < <(jq -r 'select(.executable != null).executable' "$folder.json")
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
