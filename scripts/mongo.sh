#!/usr/bin/env bash
# Runs the tests of MongoStore on a server, where CI has only a double: DocumentDB, an extension of PostgreSQL 18 with
# MongoDB's semantics, from Debian's unstable suite, unpacked beside the system, with a gateway for MongoDB's protocol.
#
# usage: bash scripts/mongo.sh [arguments of jest]   as root on Debian, with apt-get and a user postgres
#        MONGODB_URL=... bash scripts/mongo.sh       on a server of your own (a database "silverback" is used)
# The packages (some 150 MB) stay in SILVERBACK_MONGO for the next time; the database is new each time.
set -euo pipefail
cd "$(dirname "$0")/.."

tests() {
  npx jest --testMatch '**/__tests__/**/*.mongo.ts' --runInBand "$@"
}

if [ -n "${MONGODB_URL:-}" ]; then
  tests "$@"
  exit
fi

folder=${SILVERBACK_MONGO:-${TMPDIR:-/tmp}/silverback-mongo}
root=$folder/root
libraries=$root/usr/lib/x86_64-linux-gnu
postgres=$root/usr/lib/postgresql/18

unpack() {
  local site apt package
  mkdir -p "$folder"/{lists/partial,cache/archives/partial,debs,tools,root}
  site=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | head -1)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site sid main" > "$folder/sid.list"
  apt=(apt-get -qq -o Dir::Etc::SourceList="$folder/sid.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$folder/lists" -o Dir::Cache="$folder/cache")
  "${apt[@]}" update
  (cd "$folder/debs" && "${apt[@]}" download $(sed 's#$#/sid#' "$OLDPWD/scripts/mongo-packages.txt"))
  for package in "$folder"/debs/*.deb; do dpkg -x "$package" "$root"; done
  (cd "$folder/tools" && apt-get -qq download patchelf && dpkg -x patchelf*.deb .)
  # Newer programs than the system's: they take the loader and the libraries that came with them.
  local patch=("$folder/tools/usr/bin/patchelf" --force-rpath --set-rpath "$libraries:$postgres/lib")
  for program in postgres initdb pg_ctl psql; do
    "${patch[@]}" --set-interpreter "$libraries/ld-linux-x86-64.so.2" "$postgres/bin/$program"
  done
  for module in pg_documentdb_core pg_documentdb pg_documentdb_extended_rum postgis-3 rum vector pg_cron; do
    if [ -f "$postgres/lib/$module.so" ]; then "${patch[@]}" "$postgres/lib/$module.so"; fi
  done
  # The package leaves that to update-alternatives.
  ln -sf postgis-3.control "$root/usr/share/postgresql/18/extension/postgis.control"
  touch "$folder/unpacked"
}

free_port() {
  node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
}

as_postgres() {
  su postgres -s /bin/sh -c "$*"
}

[ -f "$folder/unpacked" ] || unpack > "$folder.log" 2>&1 || { tail "$folder.log"; exit 1; }

data=$(mktemp -d)
chown postgres "$data"
chmod 755 "$folder"
gateway=
stop() {
  if [ -n "$gateway" ]; then kill "$gateway" 2> /dev/null || true; fi
  as_postgres "$postgres/bin/pg_ctl -m immediate -D $data stop" > /dev/null 2>&1 || true
  rm -rf "$data"
}
trap stop EXIT

port=$(free_port)
as_postgres "$postgres/bin/initdb -D $data -U postgres -A trust --locale=C --encoding=UTF8 --no-sync" > /dev/null
cat >> "$data/postgresql.conf" << CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$data'
shared_preload_libraries = 'pg_cron, pg_documentdb_core, pg_documentdb'
cron.database_name = 'postgres'
fsync = off
CONF
as_postgres "$postgres/bin/pg_ctl -w -D $data -l $data/log start" > /dev/null
"$postgres/bin/psql" -h 127.0.0.1 -p "$port" -U postgres -Xqc 'CREATE EXTENSION documentdb CASCADE' 2> /dev/null

gateway_port=$(free_port)
node scripts/mongo-gateway.js "$gateway_port" "$port" > "$data/gateway.log" 2>&1 &
gateway=$!
for _ in $(seq 100); do
  if grep -q ready "$data/gateway.log"; then break; fi
  sleep 0.1
done
grep -q ready "$data/gateway.log" || { cat "$data/gateway.log"; exit 1; }

"$postgres/bin/psql" -h 127.0.0.1 -p "$port" -U postgres -XAtc \
  "SELECT 'DocumentDB ' || extversion || ' on PostgreSQL ' || current_setting('server_version') FROM pg_extension WHERE extname = 'documentdb'"
export MONGODB_URL="mongodb://127.0.0.1:$gateway_port/?directConnection=true" SILVERBACK_POSTGRES_PORT=$port
tests "$@"
