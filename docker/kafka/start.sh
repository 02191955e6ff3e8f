#!/usr/bin/env bash
# Starts the broker with server.properties of this folder. It formats the volume at the first start. The image's own
# start script cannot do that: it formats only for a static quorum of voters (KafkaDockerWrapper).
set -euo pipefail

properties=$(dirname "$0")/server.properties
data=$(sed -n 's/^log\.dirs=//p' "$properties")

# Formatting writes this file last.
if [ ! -f "$data/meta.properties" ]; then
    /opt/kafka/bin/kafka-storage.sh format --standalone --cluster-id "$CLUSTER_ID" --config "$properties"
fi

exec /opt/kafka/bin/kafka-server-start.sh "$properties"
