#!/usr/bin/env bash
# @nestjs/core 10.4.22: a finite observable behind @Sse() loses the events that the client has not read yet when it
# completes. `complete` calls response.end() itself, while the stream that is piped into the response still has events
# and waits for `drain`. 11.2.10 ends that stream instead. A first event of 20 MB stands for a client that reads slowly.
# Seen: "10: lost; 11: sent".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/run.js" <<'JS'
require('reflect-metadata')
const { of } = require('rxjs')
const { Controller, Module, Sse } = require('@nestjs/common')
const { NestFactory } = require('@nestjs/core')
class Events {
  list() {
    return of({ data: 'x'.repeat(20_000_000) }, { data: 'last' })
  }
}
Sse('events')(Events.prototype, 'list', Object.getOwnPropertyDescriptor(Events.prototype, 'list'))
Controller()(Events)
class App {}
Module({ controllers: [Events] })(App)
NestFactory.create(App, { logger: false }).then(async (app) => {
  await app.listen(0, '127.0.0.1')
  const { port } = app.getHttpServer().address()
  const text = await (await fetch(`http://127.0.0.1:${port}/events`)).text()
  console.log(text.includes('data: last') ? 'sent' : 'lost')
  await app.close()
})
JS
run() {
  mkdir "$folder/$1"
  cp "$folder/run.js" "$folder/$1"
  cd "$folder/$1"
  echo '{"private":true}' >package.json
  npm install --silent --no-audit --no-fund --ignore-scripts reflect-metadata@0.2.2 rxjs@7.8.2 \
    "@nestjs/common@$1" "@nestjs/core@$1" "@nestjs/platform-express@$1"
  node run.js
}
told="10: $(run 10.4.22); 11: $(run 11.2.10)"
echo "$told"
[ "$told" = '10: lost; 11: sent' ]
