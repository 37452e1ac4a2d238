#!/bin/sh
# Run once by the source-db container on its empty database: loads the cinema in one transaction and makes a role that only reads it.
set -eu
cinema="${CINEMA_HOME:-/cinema}"
set -- --file="$cinema/sql/cinema_schema.sql" --file="$cinema/sql/cinema_keys.sql" --file="$cinema/sql/sakila_stage.sql"
for table in actor category film film_actor film_category inventory customer rental; do
    set -- "$@" --command="\\copy pg_temp.$table FROM '$cinema/data/$table.tsv'"
done
set -- "$@" --file="$cinema/sql/sakila_to_cinema.sql" --file="$cinema/sql/cinema_indexes.sql" --file="$cinema/sql/reader_role.sql"
psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --set=ON_ERROR_STOP=1 --set=password="$SOURCE_READER_PASSWORD" \
    --no-psqlrc --quiet --single-transaction "$@" >/dev/null
psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --no-psqlrc --quiet --command="VACUUM (ANALYZE)"
