#!/usr/bin/env bash
# Runs the tests that cause faults, one after the other, and writes the measured times into docs/operations.md.
# Called by `make faults`, within `stack test`.
set -euo pipefail
cd "$(dirname "$0")/../.."

report=$(mktemp)
trap 'rm -f "$report"' EXIT
SHOP_FAULT_REPORT=$report cargo test --workspace --tests -- --test-threads 1 faults

awk -F '\t' -v table=docs/operations.md '
    # If several tests measure one fault, the slowest counts.
    { if (!($1 in seconds) || $2 > seconds[$1]) seconds[$1] = $2 }
    END {
        while ((getline line < table) > 0) {
            if (split(line, cell, / \| /) == 3 && (name = substr(cell[1], 3)) in seconds)
                line = "| " name " | " cell[2] " | " seconds[name] " s |"
            print line
        }
    }' "$report" >"$report.md"
mv "$report.md" docs/operations.md
