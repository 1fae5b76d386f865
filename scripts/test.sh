#!/usr/bin/env bash
# Installs what the tests need and runs all of them. The servers are real, so the machine must have them.
set -euo pipefail
cd "$(dirname "$0")/.."

# Packages of Debian and Ubuntu, each with what it puts on the machine. The compilers are for sqlite3, the Go
# packages for values that gorilla/sessions itself makes and reads.
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
need chromium chromium
need golang-go go
need golang-github-gorilla-sessions-dev /usr/share/gocode/src/github.com/gorilla/sessions
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

npm ci --no-audit --no-fund
npm run check

results=$(mktemp)
trap 'rm -f "$results"' EXIT
status=0
npx jest --ci --json --outputFile="$results" || status=$?
# A file that could not even run counts as one failure.
node -e '
  const fs = require("fs")
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(fs.readFileSync(process.argv[1], "utf8"))
  console.log(`${numPassedTests} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed`)
' "$results"
exit "$status"
