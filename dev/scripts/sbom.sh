#!/bin/sh
# Writes the bill of materials of each service, in CycloneDX's JSON format, to target/sbom.
set -eu
cd "$(dirname "$0")/../.."

folder=${CARGO_TARGET_DIR:-target}/sbom
rm -rf "$folder"
mkdir -p "$folder"
# The same commit always gives the same files.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export SOURCE_DATE_EPOCH
# cargo-cyclonedx writes a file for each binary of the workspace, beside the manifests.
cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps
for service in cart loms notifier; do
    mv "$service/${service}_bin.cdx.json" "$folder/$service.cdx.json"
    echo "$folder/$service.cdx.json: $(jq '.components | length' "$folder/$service.cdx.json") components"
done
rm -f dev/*_bin.cdx.json
