#!/usr/bin/env bash
# Installs what the tests need and runs all of them, with nothing on the machine but Node, npm and apt. Arguments are
# further versions of Node that run the core of the suite: `bash scripts/test.sh 22 24 26`.
set -euo pipefail
cd "$(dirname "$0")/.."
export npm_config_fetch_retries=5

# Packages of Debian and Ubuntu, each with what it puts on the machine. The servers are real. The compilers are for
# the SQLite packages among those of the tests, Go and its packages for values that Go itself makes and reads.
missing=()
need() {
  local package=$1
  shift
  local sign
  for sign in "$@"; do
    if command -v "$sign" >/dev/null 2>&1 || compgen -G "$sign" >/dev/null; then return; fi
  done
  missing+=("$package")
}
need redis-server redis-server
need memcached memcached
need postgresql postgres '/usr/lib/postgresql/*/bin/postgres'
need mariadb-server-core mariadbd /usr/sbin/mariadbd
need nginx nginx /usr/sbin/nginx
need chromium chromium
need firefox-esr firefox-esr firefox
need golang-go go
need golang-github-gorilla-sessions-dev /usr/share/gocode/src/github.com/gorilla/sessions
need golang-github-boj-redistore-dev /usr/share/gocode/src/github.com/boj/redistore
need python3 python3
need make make
need g++ g++

if [ "${#missing[@]}" -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "The tests need these programs; please install them first: apt-get install ${missing[*]}" >&2
    exit 1
  fi
fi

# Two packages compile SQLite, which nobody measures here: without optimization that takes a third of the time. What needs
# none of the tests' packages uses the other core.
(cd __tests__ && CFLAGS=-O0 CXXFLAGS=-O0 npm ci --no-audit --no-fund --loglevel=error) &
compiling=$!
npm ci --no-audit --no-fund --loglevel=error
(cd examples && npm ci --no-audit --no-fund --loglevel=error)
npm run build
npm run lint &
linting=$!
wait "$compiling"
npm run typecheck
wait "$linting"

exec node scripts/run-tests.mjs "$@"
