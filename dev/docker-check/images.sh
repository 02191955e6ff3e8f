# Sourced by docker-check.sh: the checks of an image and its binary, for both builders.

# Waits until a command succeeds, for at most the given number of seconds.
within() {
    local deadline=$((SECONDS + $1))
    until "${@:2}"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

free_port() {
    local free
    while :; do
        free=$((20000 + RANDOM % 12000))
        (: <"/dev/tcp/127.0.0.1/$free") 2>/dev/null || break
    done
    echo "$free"
}

answers() {
    [ "$(curl -s -o /dev/null -m 2 -w '%{http_code}' "http://127.0.0.1:$port$1")" = "$2" ]
}

logged() {
    "${builder}_log" | grep -q "$1"
}

# Passes if the command succeeds within the given time. Otherwise it prints the end of the binary's log.
expect_within() {
    if within "$2" "${@:3}"; then ok "$1"; else fail "$1" "$("${builder}_log" | tail -n 8)"; fi
}

# Nothing listens on port 1, so the services find no database and no broker of this machine.
settings_of() {
    local nobody=127.0.0.1:1
    case $target in
    cart)
        printf '%s\n' ALLOW_UNAUTHENTICATED=true "HOST_PORT=$port" "REDIS_ADDRESS=$nobody" "LOMS_BASE_URL=http://$nobody" \
            "PRODUCT_SERVICE_BASE_URL=http://$nobody"
        ;;
    loms) printf '%s\n' ALLOW_UNAUTHENTICATED=true "HTTP_PORT=$port" "GRPC_HOST_PORT=127.0.0.1:$(free_port)" "KAFKA_BROKER=$nobody" \
        CRASH_AT=anywhere ;; # a debug build would refuse to start with it
    notifier) printf '%s\n' "HTTP_PORT=$port" "KAFKA_BROKER=$nobody" ;;
    product-stand-in) printf '%s\n' "HTTP_PORT=$port" ;;
    esac
    [ "$target" = product-stand-in ] || printf '%s\n' LOG_FORMAT=json "DATABASE_MASTER_HOST_PORT_0=$nobody"
}

check_config() {
    local claim wrong=''
    for claim in '.User | test("^[1-9][0-9]*(:[1-9][0-9]*)?$")' '.StopSignal == "SIGTERM"' \
        '.Healthcheck.Test[0] == "CMD"' '.Entrypoint | length == 1 and (.[0] | endswith("/\($target)"))' \
        '.Labels["org.opencontainers.image.title"] == $target' \
        '.Labels["org.opencontainers.image.licenses"] == "Apache-2.0"' \
        '.Labels | has("org.opencontainers.image.revision")'; do
        jq -e --arg target "$target" "$claim" >/dev/null <<<"$config" || wrong+="$claim"$'\n'
    done
    expect_none "$target: its user, entry point, stop signal, health check and labels are set" "$wrong"
}

# Somebody who gets code into the process finds no shell or other program to run.
check_files() {
    local files others
    files=$("${builder}_files")
    expect "$target: its files can be listed" grep -qx "usr/local/bin/$target" <<<"$files"
    others=$(grep -vE "^($(printf '%s|' usr/local/bin/"$target" etc/ssl/certs/ca-certificates.crt)\
(usr/)?lib(64)?/([^/]+/)?[^/]+\.so(\.[0-9]+)*)$" <<<"$files" || true)
    expect_none "$target: its image contains only the binary, libraries and certificate authorities" "$others"
}

check_binary() {
    local port settings environment health healthy says ready started
    port=$(free_port)
    mapfile -t settings < <(settings_of)
    mapfile -t health < <(jq -r '.Healthcheck.Test[1:][]?' <<<"$config")
    case $target in
    product-stand-in) says='product stand-in on' ready=200 ;;
    *) says='waiting for the database' ready=503 ;;
    esac

    "${builder}_start" >/dev/null || true
    expect_within "$target: starts and answers /livez" 20 answers /livez 200
    expect_within "$target: logs \"$says\"" 10 logged "$says"
    expect_within "$target: answers /readyz with $ready" 10 answers /readyz "$ready"
    if "${builder}_health" "${health[@]}" >/dev/null 2>&1; then healthy=200; else healthy=503; fi
    expect "$target: the health check agrees" [ "$healthy" = "$ready" ]
    started=$SECONDS
    if "${builder}_stop"; then
        ok "$target: exits with 0 after SIGTERM, within $((SECONDS - started + 1)) s"
    else
        fail "$target: exits with 0 after SIGTERM, within 20 s" "$("${builder}_log" | tail -n 8)"
    fi
    "${builder}_kill" >/dev/null
}

check_image() {
    local target=$1 image=shop-check/$1:local container='' folder='' config log=$work/build-$1.log
    if ! "${builder}_build" --file docker/Dockerfile --target "$target" --tag "$image" \
        --build-arg "GIT_REVISION=$(git rev-parse --short HEAD 2>/dev/null || true)" . >"$log" 2>&1; then
        fail "$target: its image builds" "$(tail -n 20 "$log")"
        return
    fi
    config=$("${builder}_config" "$image")
    if [ "$builder" = buildah ]; then
        container=$(buildah_here from --pull-never "$image")
        folder=$(buildah_here mount "$container")
    fi
    ok "$target: its image builds ($("${builder}_size" "$image" | awk '{ printf "%.0f MB", $1 / 1000000 }'))"
    check_config
    check_files
    check_binary
    if [ -n "$container" ]; then buildah_here rm "$container" >/dev/null; fi
}
