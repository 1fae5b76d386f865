#!/bin/sh
# Runs SqliteStore on node:sqlite, which the Node.js of the tests may not have: by default on Node.js 22, 24 and 26.
#
#   scripts/node-sqlite.sh [version ...]
set -eu
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
node_modules/.bin/tsc -p tsconfig.json --outDir "$folder/dist"
ln -s "$PWD/node_modules" "$folder/node_modules"
for version in ${*:-22 24 26}; do
  npm install --silent --no-save --prefix "$folder/node$version" "node@$version"
  "$folder/node$version/node_modules/node/bin/node" scripts/node-sqlite.mjs "$folder"
done
