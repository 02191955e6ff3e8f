# Sourced by docker-check.sh: that the files of docker/ fit together.

# What is published, and where: a line a port.
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

# Prints the file as Compose understands it, as JSON.
compose_model() {
    local compose=(docker-compose)
    if has_compose_plugin; then
        compose=(docker compose)
    elif [[ $(docker-compose version --short) == 1.* ]]; then
        # Python's Compose knows all that the file says but the project's name.
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
        # PostgreSQL's versions have two numbers.
        postgres:[0-9]*.[0-9]*) ;;
        *:[0-9]*.[0-9]*.[0-9]* | *:v[0-9]*.[0-9]*.[0-9]*) ;;
        *) unpinned+=" $image" ;;
        esac
    done < <(model '.services[] | select(.build == null).image')
    expect_none 'images of others have a full version' "$unpinned"

    unpinned=$(sed -n 's/^FROM \([^ ]*:[^ ]*\).*/\1/p' docker/Dockerfile |
        grep -vE '[0-9]+\.[0-9]+\.[0-9]+|[0-9]{8}' || true)
    expect_none 'base images of the Dockerfile have a full version' "$unpinned"

    rust=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
    expect "Rust is the one of rust-toolchain.toml ($rust)" grep -q "^FROM rust:$rust-" docker/Dockerfile
    kafka=$(model '.services.kafka.image | split(":")[1]')
    expect "Kafka is the one of the native stack ($kafka)" grep -qF "<version>$kafka</version>" dev/kafka/pom.xml
}

check_services() {
    local source absent='' published
    expect_none 'every service has a memory limit' "$(model '.services | to_entries[]
        | select((.value.mem_limit // .value.deploy.resources.limits.memory) == null).key')"
    expect_none 'every service that stays has a health check' "$(model '.services | to_entries[]
        | select(.value.restart != "no" and .value.healthcheck == null and .value.build == null).key')"

    # One implementation of Compose says mounts and ports as text, the other as objects.
    while read -r source; do
        [ -e "$source" ] || absent+="$source"$'\n'
    done < <(model '.services[].volumes[]? |
        if type == "string" then split(":")[0] | select(startswith("/")) else select(.type == "bind").source end')
    expect_none 'every file and folder that is mounted is there' "$absent"

    published=$(model '.services | to_entries[] | .key as $service | .value.ports[]? |
        if type == "string" then "\($service) \(split(":")[:-1] | join(":"))"
        else "\($service) \(.host_ip):\(.published)" end' | sort)
    expect_none 'the promised ports are published, on the loopback address' \
        "$(diff <(sort <<<"$ports") - <<<"$published" || true)"
}

check_contents() {
    local file
    expect 'swagger-config.json lists the documents of the three services' jq -e '
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
