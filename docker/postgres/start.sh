#!/usr/bin/env bash
# Starts PostgreSQL in a container of the official image, on existing or new data. With PRIMARY_HOST it starts a
# streaming replica, which uses REPLICATION_SLOT on that primary. Otherwise it starts a primary.
#
# New data are created in a temporary folder and moved into place when they are complete. If an earlier start was killed,
# its temporary folder is removed.
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

# The old copy is removed only when the new one is complete.
copy_primary() {
    rm -rf "$unfinished"
    ask_primary "select pg_drop_replication_slot(slot_name)
                 from pg_replication_slots where slot_name = '$REPLICATION_SLOT'" >/dev/null
    pg_basebackup -R -X stream -c fast -C -S "$REPLICATION_SLOT" -D "$unfinished" \
        -d "host=$PRIMARY_HOST user=$POSTGRES_USER password=$POSTGRES_PASSWORD application_name=$REPLICATION_SLOT"
    rm -rf "$PGDATA"
    mv -T "$unfinished" "$PGDATA"
}

# A copy is useless if the primary was re-created (its system identifier differs), or if it has removed WAL that the
# replica has not read yet (the slot is lost). If the primary does not answer, this cannot be known: the replica then
# keeps serving, and follows when the primary is back.
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
    echo "The copy in $PGDATA can no longer follow $PRIMARY_HOST: making a new copy."
    copy_primary
fi

exec "$@"
