# Sourced by docker-check.sh: checks that the files of docker/ fit together.

# The published ports, one per line.
ports='cart 127.0.0.1:8082
grafana 127.0.0.1:3000
jaeger 127.0.0.1:16686
jaeger 127.0.0.1:4317
jaeger 127.0.0.1:4318
kafka 127.0.0.1:9092
kafka-ui 127.0.0.1:8080
loms 127.0.0.1:50051
loms 127.0.0.1:8081
notifier-1 127.0.0.1:8083
postgres-0 127.0.0.1:5432
postgres-0-replica 127.0.0.1:5433
postgres-1 127.0.0.1:5434
product-stand-in 127.0.0.1:8090
prometheus 127.0.0.1:9090
redis 127.0.0.1:6379
swagger-ui 127.0.0.1:8089'

has_compose_plugin() {
    has docker && docker compose version >/dev/null 2>&1
}

# Prints the compose file as JSON, as Compose interprets it.
compose_model() {
    local compose=(docker-compose)
    if has_compose_plugin; then
        compose=(docker compose)
    elif [[ $(docker-compose version --short) == 1.* ]]; then
        # Compose 1 understands everything in the file except the project's name.
        sed '/^name:/d' "$compose_file" >"$work/compose.yaml"
        docker-compose --project-directory docker -f "$work/compose.yaml" config >"$work/config.yaml" &&
            /usr/bin/python3 -c 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)' \
                <"$work/config.yaml"
        return
    fi
    "${compose[@]}" -f "$compose_file" --profile shop config --format json
}

model() {
    jq -r "$1" "$work/model.json"
}

check_versions() {
    local image unpinned='' rust kafka
    while read -r image; do
        case $image in
        # PostgreSQL versions have two numbers.
        postgres:[0-9]*.[0-9]*) ;;
        *:[0-9]*.[0-9]*.[0-9]* | *:v[0-9]*.[0-9]*.[0-9]*) ;;
        *) unpinned+=" $image" ;;
        esac
    done < <(model '.services[] | select(.build == null).image')
    expect_none 'third-party images have a full version' "$unpinned"

    unpinned=$(sed -n 's/^FROM \([^ ]*:[^ ]*\).*/\1/p' docker/Dockerfile |
        grep -vE '[0-9]+\.[0-9]+\.[0-9]+|[0-9]{8}' || true)
    expect_none 'base images of the Dockerfile have a full version' "$unpinned"

    rust=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
    expect "the Rust version is that of rust-toolchain.toml ($rust)" grep -q "^FROM rust:$rust-" docker/Dockerfile
    kafka=$(model '.services.kafka.image | split(":")[1]')
    expect "the Kafka version is that of the native stack ($kafka)" grep -qF "<version>$kafka</version>" dev/kafka/pom.xml
}

check_services() {
    local source absent='' published
    expect_none 'every service has a memory limit' "$(model '.services | to_entries[]
        | select((.value.mem_limit // .value.deploy.resources.limits.memory) == null).key')"
    expect_none 'every long-running service has a health check' "$(model '.services | to_entries[]
        | select(.value.restart != "no" and .value.healthcheck == null and .value.build == null).key')"

    expect_none 'our containers have no capabilities and cannot write to their images' "$(model '.services | to_entries[]
        | select(.value.build != null and (.value.cap_drop != ["ALL"] or .value.read_only != true
            or .value.security_opt != ["no-new-privileges:true"])).key')"

    # Compose 1 prints mounts and ports as text, Compose 2 as objects.
    while read -r source; do
        [ -e "$source" ] || absent+="$source"$'\n'
    done < <(model '.services[].volumes[]? |
        if type == "string" then split(":")[0] | select(startswith("/")) else select(.type == "bind").source end')
    expect_none 'every mounted file and folder exists' "$absent"

    published=$(model '.services | to_entries[] | .key as $service | .value.ports[]? |
        if type == "string" then "\($service) \(split(":")[:-1] | join(":"))"
        else "\($service) \(.host_ip):\(.published)" end' | sort)
    expect_none 'the documented ports are published, on loopback' \
        "$(diff <(sort <<<"$ports") - <<<"$published" || true)"
}

check_contents() {
    local file
    expect 'swagger-config.json lists the OpenAPI documents of the three services' jq -e '
        ([.urls[].url] | sort) == (["8081", "8082", "8083"] | map("http://localhost:\(.)/openapi.json"))
        and (."urls.primaryName" | IN($config.urls[].name))' \
        --argjson config "$(cat docker/swagger-ui/swagger-config.json)" docker/swagger-ui/swagger-config.json
    for file in docker/grafana/dashboards/*.json; do
        [ -e "$file" ] && expect "$(basename "$file") is JSON" jq -e . "$file"
    done
    for file in docker/*/*.sh; do
        expect "${file#docker/} is a shell script" bash -n "$file"
    done
}
