#!/usr/bin/env bash
# Creates the shop's topics if they do not exist. Waits for the broker, up to a limit.
set -euo pipefail

broker=kafka:29092
patience_s=120

create() {
    /opt/kafka/bin/kafka-topics.sh --bootstrap-server "$broker" --create --if-not-exists \
        --topic "$1" --partitions 2 --replication-factor 1
}

for topic in loms.order-events loms.order-events.dlq; do
    until create "$topic"; do
        if [ "$SECONDS" -ge "$patience_s" ]; then
            echo "topic $topic could not be created within $patience_s s" >&2
            exit 1
        fi
        sleep 1
    done
done
