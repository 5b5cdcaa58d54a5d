#!/usr/bin/env bash
# Stands in for what the image postgres starts: the first time it makes the database and runs what is in
# /docker-entrypoint-initdb.d, on a server that answers on its socket only.
set -euo pipefail

if [[ $(id -u) == 0 ]]; then
  chown postgres: "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [[ ! -e $PGDATA/PG_VERSION ]]; then
  initdb --username=postgres --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:?}") --auth-local=trust --auth-host=scram-sha-256 \
    --encoding=UTF8 >/dev/null
  printf 'host all all all scram-sha-256\nhost replication all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
  pg_ctl --wait --options="-c listen_addresses=''" start >/dev/null
  createdb --username=postgres "$POSTGRES_DB"
  for file in /docker-entrypoint-initdb.d/*.sql; do
    psql --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname="$POSTGRES_DB" --file="$file" >/dev/null
  done
  pg_ctl --wait stop >/dev/null
fi
exec "$@" -c listen_addresses='*'
