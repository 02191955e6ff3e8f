#!/usr/bin/env bash
# Checks the compose stack of docker/: that its files fit together, that the images build, and that each binary starts and
# stops in its image. `docker-check.sh files` checks only the files. Building the images takes as long as a release build.
#
# If there is a Docker engine, it builds and runs the images. Otherwise buildah does, on a base image that is made here from
# Debian's packages and this machine's Rust. That checks the Dockerfile, but not the image of Docker Hub.
# shellcheck disable=SC2016,SC2317 # `$` in jq programs is jq's own; functions are called by composed names
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
PATH=$PATH:/usr/sbin:/sbin:$HOME/.cargo/bin

compose_file=docker/compose.yaml
targets='cart loms notifier product-stand-in'

. dev/docker-check/report.sh
. dev/docker-check/files.sh
. dev/docker-check/docker.sh
. dev/docker-check/buildah.sh
. dev/docker-check/images.sh

has() {
    command -v "$1" >/dev/null 2>&1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Asks, then installs missing programs from Debian packages of the same name. INSTALL_MISSING=yes installs without asking.
# A check whose program is still missing is skipped.
install_missing() {
    local program missing=()
    for program in "$@"; do
        has "$program" || missing+=("$program")
    done
    [ "${#missing[@]}" -gt 0 ] && has apt-get || return 0
    [ "$(id -u)" -eq 0 ] || has sudo || return 0
    if [ "${INSTALL_MISSING:-}" != yes ]; then
        local answer=no
        [ -t 0 ] && read -r -p "Install with apt: ${missing[*]}? [y/N] " answer
        case $answer in
            [Yy]*) ;;
            *)
                echo "Missing: ${missing[*]}. Checks that need them are skipped (INSTALL_MISSING=yes installs them)."
                return 0
                ;;
        esac
    fi
    echo "Installing with apt: ${missing[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update >"$work/apt.log" 2>&1 || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "${missing[@]}" >>"$work/apt.log" 2>&1 || tail -n 5 "$work/apt.log" >&2
}

# Everything that this script creates is in this folder, including several copies of a Rust toolchain.
work=$(mktemp -d /var/tmp/docker-check.XXXXXX)
running=''

cleanup() {
    if [ -n "$running" ]; then
        "${builder}_kill" >/dev/null 2>&1 || true
    fi
    if [ -d "$work/storage" ]; then
        buildah_here rm --all >/dev/null 2>&1 || true
        buildah_here rmi --all --force >/dev/null 2>&1 || true
    fi
    if [ "${builder:-}" = docker ]; then
        for target in $targets; do docker image rm "shop-check/$target:local" >/dev/null 2>&1 || true; done
    fi
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# Prints why buildah cannot build here, or nothing if it can.
obstacle_to_buildah() {
    if [ "$(id -u)" -ne 0 ]; then
        echo 'there is no Docker engine, and building without one needs root'
    elif ! { has buildah && has debootstrap; }; then
        echo 'there is no Docker engine, and buildah or debootstrap is missing'
    elif ! has rustc; then
        echo 'there is no Docker engine, and no Rust to make a base image from'
    fi
}

install_missing jq curl
has_compose_plugin || install_missing docker-compose
if ! has jq; then
    skip 'everything' 'jq is missing'
elif ! { has_compose_plugin || has docker-compose; }; then
    skip 'compose.yaml' 'Compose is missing'
elif compose_model >"$work/model.json" 2>"$work/compose.log"; then
    ok "compose.yaml is valid ($(if has_compose_plugin; then docker compose version; else docker-compose --version; fi))"
    check_versions
    check_services
    check_contents
else
    fail 'compose.yaml is valid' "$(cat "$work/compose.log")"
fi
[ "${1:-}" = files ] && finish

if has docker && docker info >/dev/null 2>&1; then
    builder=docker
else
    builder=buildah
    install_missing buildah debootstrap
    obstacle=$(obstacle_to_buildah)
    if [ -n "$obstacle" ]; then
        skip 'the images' "$obstacle"
        finish
    fi
    mkdir -p "$work/tmp"
    if ! make_base_image >"$work/base.log" 2>&1; then
        fail "a base image can replace $(base_image)" "$(tail -n 20 "$work/base.log")"
        finish
    fi
    ok "a base image can replace $(base_image)"
fi
# Other work on this machine has priority.
renice -n 10 -p $$ >/dev/null 2>&1 || true
for target in $targets; do
    check_image "$target"
done
finish
