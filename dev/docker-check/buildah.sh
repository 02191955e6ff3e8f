# Sourced by docker-check.sh: the same as docker.sh, with buildah and a base image that is made here.

buildah_here() {
    TMPDIR=$work/tmp buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

base_image() {
    sed -n 's/^FROM \(rust:[^ ]*\).*/docker.io\/library\/\1/p' docker/Dockerfile
}

# Rust's slim image is Debian's, plus a C compiler, certificates and a toolchain. The certificates and cargo's configuration
# come from the machine that builds.
make_base_image() {
    local container folder cargo_config=${CARGO_HOME:-$HOME/.cargo}/config.toml
    container=$(buildah_here from scratch)
    folder=$(buildah_here mount "$container")
    debootstrap --variant=minbase --include=ca-certificates,gcc,libc6-dev bookworm "$folder" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
    rm -rf "$folder"/usr/share/{doc,man,locale}/* "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/*
    mkdir -p "$folder"/usr/local/{rustup,cargo/bin}
    cp -R "$(rustc --print sysroot)"/{bin,lib} "$folder/usr/local/rustup/"
    ln -s ../../rustup/bin/{cargo,rustc} "$folder/usr/local/cargo/bin/"
    cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/ca-certificates.crt"
    if [ -f "$cargo_config" ]; then cp "$cargo_config" "$folder/usr/local/cargo/"; fi
    buildah_here config --env CARGO_HOME=/usr/local/cargo \
        --env PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    buildah_here commit --quiet --format docker --rm "$container" "$(base_image)"
}

buildah_build() {
    buildah_here bud --layers --format docker --isolation chroot --pull-never "$@"
}

buildah_config() {
    buildah_here inspect --type image "$1" | jq '.Docker.config'
}

# The paths of all files in the image.
buildah_files() {
    (cd "$folder" && find . -not -type d -printf '%P\n')
}

buildah_size() {
    du -s --block-size=1 "$folder" | cut -f 1
}

# Runs a command in the image's file system as the image's user. As in the compose stack, it is read-only.
in_image() {
    local user
    user=$(jq -r .User <<<"$config")
    exec unshare --mount sh -c '
        set -e
        folder=$1
        shift
        mkdir -p "$folder/proc" "$folder/dev"
        mount --bind "$folder" "$folder"
        mount -o remount,bind,ro "$folder"
        mount -t proc proc "$folder/proc"
        mount --rbind /dev "$folder/dev"
        exec "$@"' \
        sh "$folder" env -i "${environment[@]}" "$(command -v chroot)" --userspec="$user" "$folder" "$@"
}

buildah_start() {
    local entrypoint
    mapfile -t entrypoint < <(jq -r '.Entrypoint[]' <<<"$config")
    mapfile -t environment < <(jq -r '.Env[]' <<<"$config")
    environment+=("${settings[@]}")
    (in_image "${entrypoint[@]}") >"$work/$target.log" 2>&1 &
    running=$!
}

buildah_log() {
    cat "$work/$target.log"
}

buildah_health() {
    (in_image "$@")
}

has_ended() {
    ! kill -0 "$running" 2>/dev/null
}

buildah_stop() {
    kill -TERM "$running"
    within 20 has_ended && wait "$running"
}

buildah_kill() {
    has_ended || kill -KILL "$running"
    wait "$running" 2>/dev/null || true
    running=''
}
