#!/usr/bin/env bash
# Starts PostgreSQL in a container of the official image, on data of earlier starts or on new ones: those of a primary,
# or with PRIMARY_HOST those of a streaming replica, which holds REPLICATION_SLOT there.
#
# Data come into being beside their place and are moved there when complete: what a killed start left is removed here.
set -euo pipefail

unfinished=$PGDATA.unfinished

if [ "$(id -u)" -eq 0 ]; then
    install -d -o postgres -g postgres -m 700 "$(dirname "$PGDATA")"
    exec gosu postgres bash "$0" "$@"
fi

has_data() {
    [ -s "$PGDATA/PG_VERSION" ]
}

create_primary() {
    rm -rf "$unfinished"
    PGDATA=$unfinished docker-ensure-initdb.sh "$@"
    mv -T "$unfinished" "$PGDATA"
}

ask_primary() {
    PGPASSWORD=$POSTGRES_PASSWORD PGCONNECT_TIMEOUT=5 \
        psql -h "$PRIMARY_HOST" -U "$POSTGRES_USER" -d postgres -XAtqc "$1"
}

# The old copy goes when the new one is there, not before.
copy_primary() {
    rm -rf "$unfinished"
    ask_primary "select pg_drop_replication_slot(slot_name)
                 from pg_replication_slots where slot_name = '$REPLICATION_SLOT'" >/dev/null
    pg_basebackup -R -X stream -c fast -C -S "$REPLICATION_SLOT" -D "$unfinished" \
        -d "host=$PRIMARY_HOST user=$POSTGRES_USER password=$POSTGRES_PASSWORD application_name=$REPLICATION_SLOT"
    rm -rf "$PGDATA"
    mv -T "$unfinished" "$PGDATA"
}

# A copy is of no use any more when the primary was created anew (its identifier tells), or when it has thrown away what
# the replica has not read yet (the slot is lost). A primary that does not answer says nothing about that: a replica
# serves on, and follows when it is back.
can_follow() {
    local primary ours
    primary=$(ask_primary "select system_identifier, coalesce(
                               (select wal_status from pg_replication_slots where slot_name = '$REPLICATION_SLOT'),
                               'lost')
                           from pg_control_system()") || return 0
    ours=$(pg_controldata "$PGDATA" | sed -n 's/^Database system identifier: *//p')
    case $primary in
    "$ours|lost") return 1 ;;
    "$ours|"*) return 0 ;;
    *) return 1 ;;
    esac
}

if [ -z "${PRIMARY_HOST:-}" ]; then
    has_data || create_primary "$@"
elif ! has_data; then
    copy_primary
elif ! can_follow; then
    echo "The copy in $PGDATA can follow $PRIMARY_HOST no longer: copying anew."
    copy_primary
fi

exec "$@"
