#!/usr/bin/env bash
# Starts the broker with server.properties as it stands beside this file, on a volume that it formats the first time.
# The image's own start cannot: it formats for quorums of fixed voters alone (KafkaDockerWrapper names no voters).
set -euo pipefail

properties=$(dirname "$0")/server.properties
data=$(sed -n 's/^log\.dirs=//p' "$properties")

# Formatting writes this file last.
if [ ! -f "$data/meta.properties" ]; then
    /opt/kafka/bin/kafka-storage.sh format --standalone --cluster-id "$CLUSTER_ID" --config "$properties"
fi

exec /opt/kafka/bin/kafka-server-start.sh "$properties"
