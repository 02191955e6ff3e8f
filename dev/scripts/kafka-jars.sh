#!/bin/sh
# Copies the jars of the Kafka broker into .stack/cache/kafka, once for each version of dev/kafka/pom.xml.
# The folder appears only when it is complete, so an existing folder can be used.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
pom=$root/dev/kafka/pom.xml
cache=$root/.stack/cache
jars=$cache/kafka

if [ -f "$jars/pom.xml" ] && cmp -s "$pom" "$jars/pom.xml"; then
    exit 0
fi

echo "Fetching the Kafka broker from Maven Central (about 45 MB, once)"
mkdir -p "$cache"
fresh=$(mktemp -d "$cache/kafka.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$fresh"
if ! mvn -q -B -f "$pom" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$fresh" \
    >"$cache/maven.log" 2>&1; then
    echo "Maven could not fetch the Kafka broker. The end of $cache/maven.log:" >&2
    tail -n 20 "$cache/maven.log" >&2
    exit 1
fi
cp "$pom" "$fresh/pom.xml"
rm -rf "$jars"
mv "$fresh" "$jars"
