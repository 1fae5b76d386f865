#!/usr/bin/env bash
# Installs what the tests need and runs all of them. The servers are real, so the machine must have them.
set -euo pipefail
cd "$(dirname "$0")/.."

# binary:package, as Debian and Ubuntu name them
needed=(redis-server:redis-server memcached:memcached chromium:chromium postgres:postgresql)
missing=()
for pair in "${needed[@]}"; do
  binary=${pair%%:*}
  if ! command -v "$binary" >/dev/null 2>&1 && ! compgen -G "/usr/lib/postgresql/*/bin/$binary" >/dev/null; then
    missing+=("${pair##*:}")
  fi
done
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
npm run build
npm run typecheck
npm run lint

results=$(mktemp)
trap 'rm -f "$results"' EXIT
status=0
npx jest --ci --json --outputFile="$results" || status=$?
node -e '
  const { numPassedTests, numFailedTests } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))
  console.log(`${numPassedTests} passed, ${numFailedTests} failed`)
' "$results"
exit "$status"
