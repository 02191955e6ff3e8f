#!/bin/sh
# Installs what the local stack needs and this machine lacks. `test`, `bench` and `schemathesis` also install what that target
# of make needs; `audit` and `sbom` install only what that target needs. Quick and silent if nothing is missing.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
PATH=$PATH:/usr/sbin:/sbin:$HOME/.cargo/bin
export PATH

has() {
    command -v "$1" >/dev/null 2>&1
}

has_postgres() {
    for initdb in /usr/lib/postgresql/*/bin/initdb; do
        [ -x "$initdb" ] && return 0
    done
    has initdb && has pg_basebackup
}

# Kafka needs Java 17 or newer.
has_java() {
    for version in 17 18 19 20 21 22 23 24 25 26; do
        for java in /usr/lib/jvm/java-"$version"-*/bin/java; do
            [ -x "$java" ] && return 0
        done
    done
    has java || return 1
    major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "${major:-0}" -ge 17 ]
}

has_kafka() {
    cmp -s "$root/dev/kafka/pom.xml" "$root/.stack/cache/kafka/pom.xml"
}

if ! has cargo; then
    cat >&2 <<'END'
Rust is not installed. Install it with
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
and run this again. rustup then installs the right version (rust-toolchain.toml).
END
    exit 1
fi

missing=''
need() {
    missing="$missing $*"
}

need_servers() {
    has_postgres || need postgresql
    has redis-server || need redis-server
    has prometheus || need prometheus
    has_java || need java
    has_kafka || has mvn || need maven
    { has cc && has gcc && has g++; } || need g++ libc6-dev
    has make || need make
    # librdkafka needs OpenSSL.
    has pkg-config || need pkg-config
    { has pkg-config && pkg-config --exists openssl; } || need libssl-dev
    has setpriv || need util-linux
    has curl || need curl
    has jq || need jq
    has openssl || need openssl
}

case ${1:-} in
audit | sbom) has jq || need jq ;;
*) need_servers ;;
esac
case ${1:-} in
test)
    has chromium || need chromium
    has chromedriver || need chromium-driver
    /usr/bin/python3 -c 'import aiosmtpd' 2>/dev/null || need python3-aiosmtpd
    ;;
schemathesis)
    python3 -c 'import ensurepip' 2>/dev/null || need python3-venv
    ;;
bench)
    has wrk || need wrk
    has h2load || need nghttp2-client
    ;;
esac

say_what_to_install() {
    cat >&2 <<END
This machine lacks:$missing
This script installs packages only on Debian and Ubuntu. Install these with your system's package manager:
PostgreSQL 15 or newer (server and client), Redis 7, Prometheus 2, a Java runtime 17 or newer, Maven, C and C++ compilers,
OpenSSL 3 with its headers and program, pkg-config, make, curl and jq. Then run this again.
END
    exit 1
}

java_package() {
    for candidate in openjdk-17-jre-headless openjdk-21-jre-headless openjdk-25-jre-headless; do
        if apt-cache show "$candidate" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo default-jre-headless
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Debian starts a server when its package is installed, and at each boot after that, on the ports that the stack uses.
# Both are prevented for packages that this script installs.
policy=/usr/sbin/policy-rc.d
policy_is_ours=no
mark='# written by setup.sh of the shop; it may be removed'

forbid_starts() {
    # A file with our mark is left over from a run that was killed.
    if [ ! -e "$policy" ] || grep -qF "$mark" "$policy"; then
        policy_is_ours=yes
        printf '#!/bin/sh\n%s\nexit 101\n' "$mark" | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    clusters=/etc/postgresql-common/createcluster.conf
    case $missing in
    *postgresql*)
        if [ ! -e "$clusters" ]; then
            as_root mkdir -p /etc/postgresql-common
            echo 'create_main_cluster = false' | as_root tee "$clusters" >/dev/null
        fi
        ;;
    esac
}

allow_starts() {
    if [ "$policy_is_ours" = yes ]; then
        policy_is_ours=no
        as_root rm -f "$policy"
    fi
}

disable_at_boot() {
    has systemctl || return 0
    for unit in redis-server prometheus; do
        case " $missing " in
        *" $unit "*) as_root systemctl --quiet disable "$unit.service" >/dev/null 2>&1 || true ;;
        esac
    done
}

install_missing() {
    has apt-get || say_what_to_install
    if [ "$(id -u)" -ne 0 ] && ! has sudo; then
        echo "This machine lacks:$missing. Installing needs root: run 'make setup' as root once." >&2
        exit 1
    fi
    echo "Installing with apt:$missing"
    log=$(mktemp)
    trap 'allow_starts; rm -f "$log"' EXIT
    trap 'exit 130' INT TERM HUP
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get update >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "apt-get update failed (above): trying with the existing package lists." >&2
    fi
    packages=$(echo " $missing " | sed "s/ java / $(java_package) /")
    forbid_starts
    # shellcheck disable=SC2086 # one word per package
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold $packages >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "apt could not install:$missing" >&2
        exit 1
    fi
    allow_starts
    disable_at_boot
}

if [ -n "$missing" ]; then
    install_missing
fi

# Installs a cargo command in a fixed version: its name, the version, and further arguments.
cargo_command() {
    name=$1 version=$2
    shift 2
    case $(cargo "${name#cargo-}" --version 2>/dev/null) in
    *" $version") return ;;
    esac
    echo "Installing $name $version (once, some minutes)"
    cargo install --quiet --locked "$name@$version" "$@"
}

case ${1:-} in
audit) cargo_command cargo-deny 0.20.2 --no-default-features ;;
sbom) cargo_command cargo-cyclonedx 0.5.9 ;;
*) "$root/dev/scripts/kafka-jars.sh" ;;
esac

# schemathesis is installed into its own virtual environment, in a fixed version that is known to work.
if [ "${1:-}" = schemathesis ]; then
    venv=$root/.stack/cache/schemathesis
    version=4.32.5
    if [ "$("$venv/bin/schemathesis" --version 2>/dev/null)" != "schemathesis, version $version" ]; then
        echo "Fetching schemathesis $version from PyPI (once)"
        rm -rf "$venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"
    fi
fi
