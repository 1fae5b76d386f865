import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import express from 'express'
import ts from 'typescript'
import * as silverback from '../lib/index'
import { appWith, secret } from './helpers/app'
import { blocksOf, noteListeners, run, syntaxErrors } from './helpers/documented'
import { RedisServer } from './helpers/redis-server'
import request from 'supertest'

const ROOT = path.join(__dirname, '..')
const GORILLA = 'docs/from-gorilla.md'
const inFolder = (folder: string) => readdirSync(path.join(ROOT, folder)).map((name) => `${folder}/${name}`)
const DOCUMENTS = [
  ...['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'],
  ...inFolder('docs').filter((name) => name.endsWith('.md')),
  ...inFolder('examples')
    .map((name) => `${name}/README.md`)
    .filter((name) => !name.includes('node_modules') && existsSync(path.join(ROOT, name)))
]
const textOf = (document: string) => readFileSync(path.join(ROOT, document), 'utf8')
const isScript = ({ language }: { language: string }) => language === 'js' || language === 'ts'

// Where the section on one login for both begins, there are no more twins.
const twins = blocksOf(GORILLA).filter(({ language }) => language === 'go' || language === 'ts')
const codeIn = (language: string) => twins.filter((block) => block.language === language).map(({ code }) => code)
const handlers = codeIn('go').flatMap((code) => /^func (\w+)\(w http/m.exec(code)?.[1] ?? [])

const PREAMBLE = `import type { Express } from 'express'
import { sessions, CookieStore, generateKey, infoOf } from 'silverback'
declare const app: Express
`

/** What TypeScript says of files, with its message and line. */
function typeErrors(files: string[], folder: string): string[] {
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'))
  const program = ts.createProgram(files, {
    ...{ strict: true, noEmit: true, esModuleInterop: true, skipLibCheck: true, types: ['node'] },
    ...{ module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
    typeRoots: [path.join(ROOT, 'node_modules/@types')],
    paths: { silverback: [path.join(ROOT, 'lib/index.ts')] }
  })
  return files
    .flatMap((file) => ts.getPreEmitDiagnostics(program, program.getSourceFile(file)))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
}

describe('docs/performance.svg', () => {
  it('is the picture of what the last whole run of the benchmark has found', () => {
    const drawn = execFileSync(process.execPath, [path.join(ROOT, 'bench/picture.mjs')], { encoding: 'utf8' })
    expect(textOf('docs/performance.svg')).toBe(drawn)
  })
})

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
  })

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
    expect(typeErrors([file], folder)).toEqual([])
  })
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

describe('every document', () => {
  // As GitHub makes them of headings.
  const anchorsOf = (document: string) =>
    [...textOf(document).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-')
    )

  it.each(DOCUMENTS)('%s links to what is there', (document) => {
    const links = [...textOf(document).matchAll(/\]\((?!https?:|mailto:)([^)#]*)(?:#([^)]*))?\)/g)]
    const lost = links.filter(([, target, anchor]) => {
      const file = target === '' ? document : path.join(path.dirname(document), target!)
      if (!existsSync(path.join(ROOT, file))) return true
      return anchor !== undefined && !anchorsOf(file).includes(anchor)
    })
    expect(lost.map(([link]) => link)).toEqual([])
  })

  it('has blocks that parse', () => {
    const blocks = DOCUMENTS.flatMap((document) => blocksOf(document).filter(isScript))
    expect(blocks.length).toBeGreaterThan(30)
    expect(blocks.flatMap((block) => syntaxErrors(block).map((error) => [error, block.code]))).toEqual([])
  })

  it('has TypeScript whose types are right', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'silverback-types-'))
    const blocks = DOCUMENTS.filter((name) => name !== GORILLA).flatMap((name) => blocksOf(name))
    const files = blocks
      .filter(({ language }) => language === 'ts')
      .map(({ code }, i) => {
        const file = path.join(folder, `block${i}${code.startsWith('// session.d.ts') ? '.d' : ''}.ts`)
        writeFileSync(file, code)
        return file
      })
    expect(files.length).toBeGreaterThan(1)
    expect(typeErrors(files, folder)).toEqual([])
    rmSync(folder, { recursive: true })
  })
})

describe('blocks that run as they are printed', () => {
  const listening: Server[] = []
  let folder: string
  let redis: RedisServer
  let stopListeners: () => void
  const environment = { ...process.env }

  beforeAll(async () => {
    stopListeners = noteListeners()
    folder = mkdtempSync(path.join(tmpdir(), 'silverback-blocks-'))
    redis = await RedisServer.start()
    // Clients of these connect when they are first asked.
    const nowhere = { DATABASE_URL: 'mysql://root@127.0.0.1:1/test', MONGODB_URL: 'mongodb://127.0.0.1:1/test' }
    Object.assign(process.env, { SESSION_SECRET: secret, PORT: '0', ...nowhere })
    const { listen } = express.application
    jest.spyOn(express.application, 'listen').mockImplementation(function (this: any, ...args: any[]) {
      const server = listen.apply(this, args as any)
      listening.push(server)
      return server
    })
  })

  afterAll(async () => {
    process.env = environment
    stopListeners()
    for (const server of listening) server.close().closeAllConnections()
    await redis?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it.each(DOCUMENTS.filter((name) => name !== GORILLA && blocksOf(name).some(isScript)))('%s', async (document) => {
    // What a package gives is imported where a page first uses it.
    let scope: Record<string, any> = {
      ...{ secret, store: new silverback.MemoryStore(), app: express() },
      ...{ userId: '1', until: AbortSignal.abort(), url: redis.url },
      charge: async () => undefined
    }
    const blocks = blocksOf(document).filter(isScript)
    const file = path.join(folder, `${path.basename(document)}.db`)
    const replaced = { './sessions.db': file, '/var/lib/app/sessions.db': file }
    const auth = (scope.auth = silverback.sessions({ secret, userId: (session) => session.userId }))
    const site = appWith(auth, {
      '/': async (req, res) => {
        Object.assign(req.session, { count: 1, credit: 100, cart: [] })
        await req.session.save()
        for (const block of blocks) {
          const declared: any = await run(block, { ...scope, req, res }, replaced)
          scope = { ...scope, ...declared }
          if (declared.client?.isOpen) await declared.client.close()
          await (declared.store ?? {}).close?.()
        }
        res.send('ran')
      }
    })
    const { status, body, text } = await request(site).get('/')
    expect([status, body, text]).toEqual([200, {}, 'ran'])
  })

  it('serve what docs/getting-started.md says', async () => {
    expect(listening.length).toBe(3)
    const [first] = listening
    const agent = request.agent(first!)
    expect((await agent.get('/')).text).toBe('view 1')
    expect((await agent.get('/profile')).status).toBe(401)
    const login = await agent.post('/login').type('form').send({ user: 'ann' })
    expect([login.status, login.headers.location]).toEqual([302, '/profile'])
    expect((await agent.get('/profile')).text).toBe('signed in as ann')
    expect((await agent.get('/')).text).toBe('view 2')
    await agent.post('/logout')
    expect((await agent.get('/')).text).toBe('view 1')
    expect((await request(listening[2]!).get('/')).body.views).toBe(1)
  })
})

/** The application that the blocks of a page make together. */
async function appOf(document: string) {
  const app = express()
  let scope: Record<string, any> = {
    app,
    secret,
    store: new silverback.MemoryStore(),
    authenticate: ({ wrong }: { wrong?: string } = {}) => (wrong === undefined ? { id: '1' } : undefined)
  }
  app.use(express.urlencoded({ extended: false }))
  for (const block of blocksOf(document).filter(isScript)) scope = { ...scope, ...(await run(block, scope)) }
  return app
}

it('docs/users.md signs out one device, the others, and all of them with a new password', async () => {
  const app = await appOf('docs/users.md')
  app.post('/enter', async (req: any, res) => {
    await req.session.regenerate()
    req.session.userId = '1'
    res.json({ mark: createHash('sha256').update(req.sessionID).digest('base64url') })
  })
  const [phone, tablet, desk] = [request.agent(app), request.agent(app), request.agent(app)]
  const devices = async (agent: typeof phone) => {
    const { status, body } = await agent.get('/devices')
    return status === 200 ? body.map(({ current }: any) => current).sort() : status
  }
  const { mark } = (await phone.post('/enter')).body
  await tablet.post('/enter')
  await desk.post('/enter')
  expect(await devices(desk)).toEqual([false, false, true])
  await desk.post(`/devices/${mark}/sign-out`)
  expect([await devices(phone), await devices(desk)]).toEqual([401, [false, true]])
  expect((await desk.post('/devices/sign-out-others')).body).toEqual({ ended: 1 })
  expect([await devices(tablet), await devices(desk)]).toEqual([401, [true]])
  await tablet.post('/enter')
  await desk.post('/password')
  expect([await devices(tablet), await devices(desk)]).toEqual([401, [true]])
})

it('docs/login.md leads back, and asks for the password again', async () => {
  const app = await appOf('docs/login.md')
  const agent = request.agent(app)
  const to = async (sent: request.Test) => (await sent).headers.location
  expect(await to(agent.get('/account'))).toBe('/login')
  const refused = async (path: string) => (await agent.post(path).send('wrong=1')).status
  expect(await refused('/login')).toBe(401)
  expect(await to(agent.get('/account'))).toBe('/login')
  await agent.post('/login')
  expect((await agent.get('/account')).text).toBe('account of 1')
  expect(await refused('/prove')).toBe(401)
  expect(await to(agent.get('/account/password'))).toBe('/prove')
  expect(await to(agent.post('/prove'))).toBe('/account/password')
  expect((await agent.get('/account/password')).text).toBe('change your password')
  await agent.post('/logout')
  expect(await to(agent.get('/account'))).toBe('/login')
})

it('docs/from-cookie-session.md carries a login over once, and a logout lasts', async () => {
  const block = blocksOf('docs/from-cookie-session.md').find(({ code }) => code.includes('oldUserId'))!
  const app = express()
  // What cookie-session does: an accessor that can be deleted, and a cookie that expires with `null`.
  app.use((req: any, res, next) => {
    const old = /\bold=(\w+)/.exec(req.headers.cookie ?? '')?.[1]
    const session = { isNew: old === undefined, userId: old }
    const set = () => res.append('Set-Cookie', 'old=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT')
    Object.defineProperty(req, 'session', { configurable: true, get: () => session, set })
    next()
  })
  await run(block, { app, secret, sessions: silverback.sessions, CookieStore: silverback.CookieStore })
  app.get('/', (req: any, res) => void res.json(req.session.userId ?? null))
  app.get('/enter', (_, res) => void res.append('Set-Cookie', 'old=ann; Path=/').end())
  app.get('/logout', async (req, res) => void res.json(await req.session.destroy()))
  const agent = request.agent(app)
  await agent.get('/enter')
  expect((await agent.get('/')).body).toBe('ann')
  expect((await agent.get('/')).body).toBe('ann')
  await agent.get('/logout')
  expect((await agent.get('/')).body).toBeNull()
})

/** A store that keeps what the middleware gives it, with the tokens that docs/stores.md shows. */
it('docs/stores.md shows a store whose cookies another program reads', async () => {
  const blocks = blocksOf('docs/stores.md').filter(({ code }) => /class (Map|Legacy)Store/.test(code))
  let scope = {}
  for (const block of blocks) scope = { ...scope, ...(await run(block, scope)) }
  const { LegacyStore, sign } = scope as any
  const app = appWith(silverback.sessions({ secret, store: new LegacyStore() }), {
    '/': (req, res) => {
      req.session.views = (req.session.views ?? 0) + 1
      res.json([req.sessionID, req.session.views])
    }
  })
  const first = await request(app).get('/')
  const [, id, mac, rest] = /^sid=([^%]+)%3A([^;]+)(.*)/.exec(first.headers['set-cookie']![0]!)!
  expect([first.body, mac]).toEqual([[id, 1], sign('sid', id, secret)])
  expect(rest).toContain('Max-Age=2592000')
  const send = (cookie: string) => request(app).get('/').set('Cookie', cookie)
  expect((await send(`sid=${id}%3A${mac}`)).body).toEqual([id, 2])
  for (const forged of [sign('other', id, secret), '%C3%A9'.repeat(64), mac!.slice(1), '']) {
    expect((await send(`sid=${id}%3A${forged}`)).body[1]).toBe(1)
  }
})

it('docs/errors.md and docs/troubleshooting.md name every code', () => {
  const sources = (readdirSync(path.join(ROOT, 'lib'), { recursive: true }) as string[])
    .filter((name) => name.endsWith('.ts') && !name.startsWith('cli'))
    .map((name) => textOf(`lib/${name}`))
    .join('\n')
  const codes = (pattern: RegExp) => [...new Set(sources.match(pattern))]
  const errors = codes(/\bERR_SESSION_[A-Z_]*[A-Z]\b/g)
  const warnings = codes(/\bSILVERBACK_[A-Z_]*[A-Z]\b/g)
  expect([errors.length > 15, warnings.length > 5]).toEqual([true, true])
  const missing = (names: string[], document: string) =>
    names.filter((name) => !textOf(document).includes(`\`${name}\``))
  expect(missing(errors, 'docs/errors.md')).toEqual([])
  expect(missing(warnings, 'docs/troubleshooting.md')).toEqual([])
})

it('ARCHITECTURE.md names files that are there, and every room', () => {
  const text = textOf('ARCHITECTURE.md')
  const named = [...text.matchAll(/`(lib\/[\w/.-]+)`/g)].map(([, name]) => name!)
  expect(named.length).toBeGreaterThan(20)
  expect(named.filter((name) => !existsSync(path.join(ROOT, name)))).toEqual([])
  const rooms = readdirSync(path.join(ROOT, 'lib')).filter((name) => !name.includes('.'))
  expect(rooms.filter((room) => !text.includes(`\`${room}`))).toEqual([])
})

it('docs/README.md links to every page', () => {
  const contents = textOf('docs/README.md')
  const pages = inFolder('docs').filter((name) => name.endsWith('.md') && name !== 'docs/README.md')
  expect(pages.filter((name) => !contents.includes(`](${path.basename(name)})`))).toEqual([])
})

it('the documents link to every example, and a test starts each', () => {
  const other = /^\.|^node_modules$|^package(-lock)?\.json$/
  const examples = readdirSync(path.join(ROOT, 'examples'))
    .filter((name) => !other.test(name))
    .map((name) => `examples/${name}`)
  const tests = readdirSync(path.join(__dirname, 'examples'))
    .map((name) => readFileSync(path.join(__dirname, 'examples', name), 'utf8'))
    .join('\n')
  const linked = DOCUMENTS.map(textOf).join('\n')
  expect(examples.length).toBeGreaterThan(10)
  for (const example of examples) {
    expect(linked).toContain(`${example})`)
    const file = `../../${example.replace(/\.js$/, '')}`
    // Several in one table are told apart by their names.
    expect(tests.includes(file) || tests.includes(`'${path.basename(file)}'`)).toBe(true)
  }
})
