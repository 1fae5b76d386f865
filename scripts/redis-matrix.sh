#!/usr/bin/env bash
# Runs the suites of RedisStore against every Redis and Valkey that Debian has, and says what it ran against.
#
#   scripts/redis-matrix.sh [-d FOLDER] [-s SERVER]... [-- ARGUMENTS OF JEST]
#
# Servers newer than the system's come from Debian's newer suites and are unpacked, with their libraries, into FOLDER
# (a new one by default; the same one again spares the download): nothing is installed. Needs apt-get and dpkg.
# With GLIDE=/path/to/node_modules/@valkey/valkey-glide the clients of that package are tried, too.
set -euo pipefail
cd "$(dirname "$0")/.."

# Name, suite, package of the server.
known=(
  'redis-7.0 system redis-server'
  'redis-8.0 forky redis-server'
  'valkey-8.0 bookworm-backports valkey-server'
  'valkey-8.1 trixie valkey-server'
  'valkey-9.1 forky valkey-server'
)
libraries=(libc6 libatomic1 libcap2 libgcc-s1 libjemalloc2 liblzf1 libssl3t64 libstdc++6 libsystemd0 libzstd1 zlib1g)

folder=''
chosen=()
while getopts d:s: option; do
  case $option in
    d) folder=$OPTARG ;;
    s) chosen+=("$OPTARG") ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
if [ -z "$folder" ]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -E '/debian/?$' | sort -u | head -n 1 || true)

# Puts a redis-server of that name on a PATH of its own.
fetch() {
  local name=$1 suite=$2 package=$3 to=$folder/$1 tools=${3/server/tools} apt
  if [ -x "$to/bin/redis-server" ]; then return; fi
  mkdir -p "$to/bin" "$to/lists/partial" "$to/cache/archives/partial" "$to/root"
  if [ "$suite" = system ]; then
    ln -sf "$(command -v "$package")" "$to/bin/redis-server"
    return
  fi
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$to/sources"
  apt=(apt-get -qq -o "Dir::Etc::SourceList=$to/sources" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$to/lists" -o "Dir::Cache=$to/cache" -o APT::Sandbox::User=root)
  "${apt[@]}" update
  local wanted=("$package" "$tools") library
  # What a backport needs is on the system already.
  if [ "$suite" != bookworm-backports ]; then wanted+=("${libraries[@]}"); fi
  (cd "$to" && "${apt[@]}" download "${wanted[@]/%//$suite}")
  for library in "$to"/*.deb; do dpkg -x "$library" "$to/root"; done
  local server=$to/root/usr/bin/$package
  if [ "$suite" != bookworm-backports ]; then
    local loader
    loader=$(find "$to/root" -name 'ld-linux*.so.*' | head -n 1)
    server="$loader --library-path $(find "$to/root" -name libc.so.6 -printf '%h') $server"
  fi
  printf '#!/bin/sh\nexec %s "$@"\n' "$server" >"$to/bin/redis-server"
  chmod +x "$to/bin/redis-server"
}

results=()
failed=0
for line in "${known[@]}"; do
  read -r name suite package <<<"$line"
  if [ "${#chosen[@]}" -gt 0 ] && [[ " ${chosen[*]} " != *" $name "* ]]; then continue; fi
  if ! fetch "$name" "$suite" "$package"; then
    results+=("$name: not to be had")
    continue
  fi
  version=$("$folder/$name/bin/redis-server" --version | sed -E 's/ sha=.*//')
  echo "== $version"
  if PATH="$folder/$name/bin:$PATH" npx jest "${@:-__tests__/stores/redis}"; then
    results+=("$version: passed")
  else
    results+=("$version: FAILED")
    failed=1
  fi
done
printf '%s\n' '' 'Ran against:' "${results[@]}"
exit "$failed"
