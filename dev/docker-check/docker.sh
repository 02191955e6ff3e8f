# Sourced by docker-check.sh: builds and runs the images with a Docker engine.

docker_build() {
    docker build "$@"
}

docker_config() {
    docker image inspect "$1" | jq '.[0].Config'
}

# The paths of all files in the image, without those that Docker adds to a container.
docker_files() {
    local container
    container=$(docker create "$image")
    docker export "$container" | tar --list | grep -vE '/$|^(dev|proc|sys)/|^\.dockerenv$|^etc/(hosts|hostname|mtab|resolv\.conf)$'
    docker rm "$container" >/dev/null
}

docker_size() {
    docker image inspect --format '{{.Size}}' "$1"
}

docker_start() {
    running=shop-check-$target
    docker run --detach --name "$running" --read-only --cap-drop ALL --security-opt no-new-privileges:true \
        --publish "127.0.0.1:$port:$port" "${settings[@]/#/--env=}" "$image"
}

docker_log() {
    docker logs "$running" 2>&1
}

docker_health() {
    docker exec "$running" "$@"
}

docker_stop() {
    docker stop -t 20 "$running" >/dev/null
    [ "$(docker inspect --format '{{.State.ExitCode}}' "$running")" = 0 ]
}

docker_kill() {
    docker rm --force "$running"
    running=''
}
