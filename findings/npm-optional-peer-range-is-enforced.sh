#!/usr/bin/env bash
# npm 11.19.1: `optional: true` in peerDependenciesMeta says that the peer may be missing, not that its range is a
# recommendation. A project that has a version outside of it for a purpose of its own cannot install the package at all
# (ERESOLVE), although the package may never load that peer. The range "*" is the only one that keeps nobody out.
# mongodb 6.8.0 has the optional peer socks ^2.7.1; the project wants socks 1.1.10.
# Seen: "without the peer: installed; beside another version of it: ERESOLVE".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/npm" "$folder/without" "$folder/beside"
cd "$folder/npm"
echo '{"private":true}' >package.json
npm install --silent --no-audit --no-fund npm@11.19.1
try() { # folder, packages...
  cd "$folder/$1"
  echo '{"private":true}' >package.json
  shift
  local npm=(node "$folder/npm/node_modules/npm/bin/npm-cli.js" install --no-audit --no-fund --ignore-scripts)
  if "${npm[@]}" "$@" >output 2>&1 && [ -e node_modules/mongodb ]; then
    echo installed
  else
    grep -o -m 1 ERESOLVE output || cat output
  fi
}

seen="without the peer: $(try without mongodb@6.8.0); beside another version of it: $(try beside mongodb@6.8.0 socks@1.1.10)"
if [ "$seen" = "without the peer: installed; beside another version of it: ERESOLVE" ]; then
  echo "$seen"
else
  echo "changed: $seen" >&2
  exit 1
fi
