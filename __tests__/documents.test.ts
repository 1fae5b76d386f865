import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import express from 'express'
import ts from 'typescript'
import * as silverback from '../lib/index'
import { appWith, secret } from './helpers/app'
import { blocksOf } from './helpers/documented'
import request from 'supertest'

const ROOT = path.join(__dirname, '..')
const GORILLA = 'docs/from-gorilla.md'
const DOCUMENTS = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  'examples/login/README.md',
  'examples/migrate/README.md',
  ...['differences', 'from-gorilla', 'performance', 'stores', 'troubleshooting'].map((name) => `docs/${name}.md`)
]

// Where the section on one login for both begins, there are no more twins.
const twins = blocksOf(GORILLA).filter(({ language }) => language === 'go' || language === 'ts')
const codeIn = (language: string) => twins.filter((block) => block.language === language).map(({ code }) => code)
const handlers = codeIn('go').flatMap((code) => /^func (\w+)\(w http/m.exec(code)?.[1] ?? [])

const PREAMBLE = `import type { Express } from 'express'
import { sessions, CookieStore, generateKey, infoOf } from 'silverback'
declare const app: Express
`

describe('docs/from-gorilla.md', () => {
  let folder: string
  let go: ChildProcess
  let ours: Server
  const ports: Record<string, number> = {}

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'silverback-documents-'))
    const [goPort, server] = await Promise.all([startGo(), startOurs()])
    ours = server
    Object.assign(ports, { go: goPort, ours: (server.address() as AddressInfo).port })
  }, 120_000)

  afterAll(() => {
    go?.kill()
    ours?.close().closeAllConnections()
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  })

  function startGo(): Promise<number> {
    const routes = handlers.map((name) => `http.HandleFunc("/${name}", ${name})`)
    const imports = ['encoding/gob', 'fmt', 'net', 'net/http', 'os'].map((name) => `"${name}"`)
    const theirs = ['securecookie', 'sessions'].map((name) => `"github.com/gorilla/${name}"`)
    const main = `func main() {
      ${routes.join('\n')}
      l, _ := net.Listen("tcp", "127.0.0.1:0")
      fmt.Println(l.Addr().(*net.TCPAddr).Port)
      http.Serve(l, nil)
    }`
    const program = ['package main', `import (${[...imports, ...theirs].join('\n')})`, ...codeIn('go'), main].join('\n')
    writeFileSync(path.join(folder, 'main.go'), program)
    const env = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '' }
    execFileSync('go', ['build', '-o', 'twins', 'main.go'], { cwd: folder, env, stdio: 'pipe' })
    const keys = { HASH_KEY: 'h'.repeat(32), BLOCK_KEY: 'b'.repeat(32) }
    go = spawn(path.join(folder, 'twins'), { env: { ...process.env, ...keys }, stdio: ['ignore', 'pipe', 'inherit'] })
    return new Promise((resolve) =>
      createInterface({ input: go.stdout! }).once('line', (line) => resolve(Number(line)))
    )
  }

  function startOurs(): Promise<Server> {
    const app = express()
    const { outputText } = ts.transpileModule(PREAMBLE + codeIn('ts').join('\n'), {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true }
    })
    const environment = { env: { SESSION_SECRET: secret } }
    const run = new Function('require', 'exports', 'app', 'process', outputText)
    run(() => silverback, {}, app, environment)
    return new Promise((resolve) => {
      const server = createServer(app).listen(0, '127.0.0.1', () => resolve(server))
    })
  }

  /** What a browser with one cookie jar sees on its way through the paths. */
  async function conversation(port: number, paths: string[]): Promise<unknown[]> {
    const jar = new Map<string, string>()
    const seen: unknown[] = []
    for (const each of paths) {
      if (each === 'FORGED') {
        jar.set('session-name', 'forged')
        continue
      }
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
      const res = await fetch(`http://127.0.0.1:${port}/${each}`, { headers: { cookie } })
      const ages: Record<string, string | undefined> = {}
      for (const text of res.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(text)!
        const age = /; Max-Age=(\d+)/.exec(text)?.[1]
        if (age === '0') jar.delete(name!)
        else jar.set(name!, value!)
        ages[name!] = age
      }
      seen.push([each, res.status, await res.text(), each === 'remember' || each === 'logout' ? ages : {}])
    }
    return seen
  }

  it('has a twin for every snippet, in turn', () => {
    expect(twins.map(({ language }) => language)).toEqual(twins.map((_, i) => (i % 2 ? 'ts' : 'go')))
    expect(handlers.length).toBeGreaterThan(7)
    codeIn('go').forEach((code, i) => {
      const name = /^func (\w+)\(w http/m.exec(code)?.[1]
      if (name !== undefined) expect(codeIn('ts')[i]).toContain(`app.get('/${name}'`)
    })
  })

  it('has twins that answer alike', async () => {
    const paths = ['check', 'visits', 'visits', 'check', 'about', 'anew', 'visits', 'notice', 'notice', 'order']
    paths.push('remember', 'visits', 'logout', 'check', 'visits', 'FORGED', 'check', 'visits', 'visits')
    expect(new Set(paths)).toEqual(new Set([...handlers, 'FORGED']))
    const theirs = await conversation(ports.go!, paths)
    expect(await conversation(ports.ours!, paths)).toEqual(theirs)
    expect(theirs).toContainEqual(['visits', 200, 'visit 4', {}])
  })

  it('has snippets with the types that they claim', () => {
    const file = path.join(folder, 'twins.ts')
    writeFileSync(file, PREAMBLE + codeIn('ts').join('\n'))
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'))
    const program = ts.createProgram([file], {
      ...{ strict: true, noEmit: true, esModuleInterop: true, skipLibCheck: true, types: ['node'] },
      ...{ module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
      typeRoots: [path.join(ROOT, 'node_modules/@types')],
      paths: { silverback: [path.join(ROOT, 'lib/index.ts')] }
    })
    const found = ts.getPreEmitDiagnostics(program, program.getSourceFile(file))
    expect(found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([])
  }, 60_000)
})

describe('docs/stores.md', () => {
  const body = (containing: string) => blocksOf('docs/stores.md').find(({ code }) => code.includes(containing))!.code
  const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor

  it('charges once, and loses no credit, with the verbs as they are shown', async () => {
    const auth = silverback.sessions({ secret })
    const charge = jest.fn(async () => undefined)
    const pay = new AsyncFunction('req', 'charge', body('session.lock('))
    const spend = new AsyncFunction('req', body('session.update('))
    const app = appWith(auth, {
      '/begin': (req, res) => res.json(Object.assign(req.session, { credit: 100, cart: ['pear'] })),
      '/pay': async (req, res) => res.json(await pay(req, charge)),
      '/spend': async (req, res) => res.json(await spend(req)),
      '/read': (req, res) => res.json([req.session.credit, req.session.paid])
    })
    const agent = request.agent(app)
    await agent.get('/begin')
    const answers = await Promise.all(['/pay', '/spend', '/pay', '/spend', '/pay'].map((url) => agent.get(url)))
    expect(answers.filter(({ status }) => status !== 200).map(({ body }) => body)).toEqual([])
    expect(charge).toHaveBeenCalledTimes(1)
    expect((await agent.get('/read')).body).toEqual([80, true])
  })
})

it.each(DOCUMENTS)('%s links to what is there', (document) => {
  const text = readFileSync(path.join(ROOT, document), 'utf8')
  const targets = [...text.matchAll(/\]\((?!https?:|mailto:|#)([^)#]+)(?:#[^)]*)?\)/g)].map(([, target]) => target!)
  const lost = targets.filter((target) => !existsSync(path.join(ROOT, path.dirname(document), target)))
  expect(lost).toEqual([])
})

it('README.md names every example, and a test starts each', () => {
  const other = /^\.|^node_modules$|^package(-lock)?\.json$/
  const examples = readdirSync(path.join(ROOT, 'examples'))
    .filter((name) => !other.test(name))
    .map((name) => `examples/${name}`)
  const tests = readdirSync(path.join(__dirname, 'examples'))
    .map((name) => readFileSync(path.join(__dirname, 'examples', name), 'utf8'))
    .join('\n')
  const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8')
  expect(examples.length).toBeGreaterThan(10)
  for (const example of examples) {
    expect(readme).toContain(`](${example})`)
    expect(tests).toContain(`../../${example.replace(/\.js$/, '')}`)
  }
})
