#!/usr/bin/env bash
# npm 11.19.1: `npm install --package-lock-only` leaves the packages alone, but rewrites `node_modules/.package-lock.json`,
# the record of what is installed. It then lists packages that are not there, so a tool that compares it with
# package-lock.json takes an incomplete folder for complete (`npm ls` looks at the folders, and is not misled).
# Seen: "depd is listed, and is not installed".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/npm" "$folder/project"
cd "$folder/npm"
echo '{"private":true}' >package.json
npm install --silent --no-audit --no-fund npm@11.19.1
npm() { node "$folder/npm/node_modules/npm/bin/npm-cli.js" "$@"; }

cd "$folder/project"
echo '{"private":true,"dependencies":{"ms":"2.1.3"}}' >package.json
npm install --silent --no-audit --no-fund
echo '{"private":true,"dependencies":{"ms":"2.1.3","depd":"2.0.0"}}' >package.json
npm install --silent --no-audit --no-fund --package-lock-only
listed=$(node -p "'node_modules/depd' in require('./node_modules/.package-lock.json').packages")
if [ "$listed" = true ] && [ ! -e node_modules/depd ]; then
  echo "depd is listed, and is not installed"
else
  echo "changed: listed $listed, folders $(ls node_modules | tr '\n' ' ')" >&2
  exit 1
fi
