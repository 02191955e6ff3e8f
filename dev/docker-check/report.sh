# Sourced by docker-check.sh: reports the result of each check.

passed=0
failed=0
skipped=0

ok() {
    passed=$((passed + 1))
    printf 'ok    %s\n' "$1"
}

# The second argument is the explanation.
fail() {
    failed=$((failed + 1))
    printf 'FAIL  %s\n' "$1"
    if [ -n "${2:-}" ]; then
        printf '        %s\n' "${2//$'\n'/$'\n        '}"
    fi
}

skip() {
    skipped=$((skipped + 1))
    printf 'skip  %s: %s\n' "$1" "$2"
}

# Passes if the second argument, a list of problems, is empty.
expect_none() {
    if [ -z "$2" ]; then ok "$1"; else fail "$1" "$2"; fi
}

# Passes if the command succeeds.
expect() {
    local output
    if output=$("${@:2}" 2>&1); then ok "$1"; else fail "$1" "$(tail -n 20 <<<"$output")"; fi
}

finish() {
    printf '\n%d passed, %d failed' "$passed" "$failed"
    [ "$skipped" -eq 0 ] || printf ', %d skipped' "$skipped"
    printf '\n'
    [ "$failed" -eq 0 ] || exit 1
    exit 0
}
