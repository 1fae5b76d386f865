import { execFileSync } from 'node:child_process'
import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

const root = path.resolve(__dirname, '../..')
const VALUES = 'Store MemoryStore CookieStore FileStore Session Cookie SessionError sessions requireSession generateKey'
let work: string

/** Runs a program; its output is part of the error when it fails. */
function run(command: string, args: string[], cwd: string): string {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: 'pipe' })
  } catch (err) {
    const { stdout, stderr } = err as { stdout: string; stderr: string }
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}\n${stderr}`, { cause: err })
  }
}

/** An empty project in which the packed package is installed under a name. */
function project(name: string, files: Record<string, string>, type = 'commonjs'): string {
  const folder = mkdtempSync(path.join(work, 'project-'))
  const modules = path.join(folder, 'node_modules')
  mkdirSync(path.join(modules, '@types'), { recursive: true })
  run('tar', ['xzf', path.join(work, 'package.tgz'), '-C', modules], work)
  run('mv', [path.join(modules, 'package'), path.join(modules, name)], work)
  for (const types of ['node', 'express', 'express-serve-static-core', 'body-parser', 'connect', 'qs', 'send']) {
    symlinkTypes(modules, types)
  }
  for (const types of ['range-parser', 'serve-static', 'http-errors', 'mime']) symlinkTypes(modules, types)
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'consumer', type }))
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(folder, file), text)
  return folder
}

function symlinkTypes(modules: string, name: string): void {
  symlinkSync(path.join(root, 'node_modules/@types', name), path.join(modules, '@types', name))
}

function compile(folder: string, module: string, moduleResolution: string, ...files: string[]): void {
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
  const flags = ['--strict', '--target', 'es2022', '--module', module, '--moduleResolution', moduleResolution]
  const rest = ['--noEmit', '--esModuleInterop', '--types', 'node,express', '--preserveSymlinks', 'false']
  run(process.execPath, [tsc, ...flags, ...rest, ...files], folder)
}

beforeAll(() => {
  work = mkdtempSync(path.join(tmpdir(), 'silverback-package-'))
  run('npx', ['tsc', '-p', 'tsconfig.json', '--outDir', path.join(work, 'source/dist')], root)
  const source = path.join(work, 'source')
  const { scripts: _scripts, ...manifest } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  writeFileSync(path.join(source, 'package.json'), JSON.stringify(manifest))
  for (const file of ['README.md', 'LICENSE', 'CHANGELOG.md', 'lib'])
    run('cp', ['-r', path.join(root, file), source], root)
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', work], source))
  run('mv', [path.join(work, packed.filename), path.join(work, 'package.tgz')], work)
}, 120_000)

afterAll(() => rmSync(work, { recursive: true, force: true }))

describe.each(['silverback', 'express-session'])('installed as %s', (name) => {
  it('is the callable drop-in for require, with every name on it', () => {
    const folder = project(name, {
      'index.js': `
        const session = require('${name}')
        if (typeof session !== 'function') throw new Error('not callable')
        for (const key of '${VALUES}'.split(' ')) if (typeof session[key] !== 'function') throw new Error(key)
        const auth = session.sessions({ secret: session.generateKey() })
        if (auth.length !== 3 || typeof auth.revoke !== 'function') throw new Error('no manager')
        if (typeof require('${name}/redis').RedisStore !== 'function') throw new Error('redis')
        if (typeof require('${name}/testing').sessionCookie !== 'function') throw new Error('testing')
        for (const [path, value] of [['store', session.Store], ['memory', session.MemoryStore],
          ['session', session.Session], ['cookie', session.Cookie]]) {
          if (require('${name}/session/' + path) !== value) throw new Error(path)
          if (require('${name}/session/' + path + '.js') !== value) throw new Error(path)
        }
        if (require('${name}/index.js') !== session) throw new Error('index')
        if (!/^1\\.2\\d\\./.test(require('${name}/package.json').version)) throw new Error('version')
        function Legacy() { session.Store.call(this) }
        require('util').inherits(Legacy, session.Store)
        if (typeof new Legacy().on !== 'function') throw new Error('Store.call')`
    })
    run(process.execPath, ['--throw-deprecation', 'index.js'], folder)
  })

  it('imports by default, by name and as a namespace from ESM', () => {
    const names = VALUES.split(' ')
    const folder = project(name, {
      'index.mjs': `
        import session, { ${names.join(', ')} } from '${name}'
        import * as all from '${name}'
        import { RedisStore } from '${name}/redis'
        import { sessionCookie } from '${name}/testing'
        const named = { ${names.join(', ')} }
        for (const key of Object.keys(named)) {
          if (named[key] !== session[key] || all[key] !== session[key]) throw new Error(key)
        }
        if (all.default !== session || !RedisStore || !sessionCookie) throw new Error('default')`
    })
    run(process.execPath, ['index.mjs'], folder)
  })

  const typed = `
    import express from 'express'
    import session, { sessions, MemoryStore, Store, SessionError, requireSession } from '${name}'
    import { RedisStore } from '${name}/redis'
    import { sessionCookie } from '${name}/testing'

    declare module '${name}' {
      interface SessionData {
        userId: string
        visits: number
      }
    }

    class Custom extends Store {
      get(id: string, callback: (err: unknown, session?: session.SessionData | null) => void): void { callback(null) }
      set(id: string, data: session.SessionData, callback?: (err?: unknown) => void): void { callback?.() }
      destroy(id: string, callback?: (err?: unknown) => void): void { callback?.() }
    }

    class Promising extends Store {
      async get(_id: string) { return null }
      async set(_id: string, _session: object) {}
      async destroy(_id: string) {}
    }

    const app = express()
    app.use(session({ secret: 'x', resave: false, saveUninitialized: false, store: new Custom() }))
    const auth = sessions<{ userId: string }>({ secret: 'x'.repeat(32), store: new Promising(), idle: 1000 })
    app.use(auth)
    app.get('/', requireSession(), async (req, res, next) => {
      const user: string | undefined = req.session.userId
      req.session.visits = (req.session.visits ?? 0) + 1
      req.session.cookie.maxAge = 1000
      req.session.save((err) => next(err))
      await req.session.save()
      await req.session.regenerate({ keep: ['userId'] })
      await req.session.update((s) => { s.visits = 2 })
      const cart = await req.sessions.get('cart')
      cart.addFlash('x')
      const error: SessionError | undefined = req.session.error
      res.json({ user, id: req.sessionID, flashes: cart.flashes(), code: error?.code })
    })
    const entry = await auth.get('id')
    const userId: string | undefined = entry?.data.userId
    const text: string = await sessionCookie(auth, { userId })
    const store: MemoryStore = new MemoryStore({ max: 10 })
    export { text, store, RedisStore }`

  const schema = `
    import { sessions } from '${name}'
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) => ({ value: value as { plan: 'free' | 'paid' } }),
        types: undefined as { input: unknown; output: { plan: 'free' | 'paid' } } | undefined
      }
    }
    const auth = sessions({ secret: 'x'.repeat(32), schema })
    export async function plan(id: string): Promise<'free' | 'paid' | undefined> { return (await auth.get(id))?.data.plan }`

  it('types an application under node16 (ESM) and bundler resolution', () => {
    const folder = project(name, { 'index.ts': typed, 'schema.ts': schema }, 'module')
    compile(folder, 'node16', 'node16', 'index.ts', 'schema.ts')
    compile(folder, 'esnext', 'bundler', 'index.ts', 'schema.ts')
  })

  it('types an application under node16 (CommonJS), with import = require and import * as', () => {
    const folder = project(name, {
      'index.cts': `
        import express = require('express')
        import session = require('${name}')
        import * as all from '${name}'
        declare module '${name}' {
          interface SessionData { userId: string }
          interface Session { greet(): string }
        }
        const app = express()
        app.use(session({ secret: 'x', store: new session.MemoryStore() }))
        app.use((req, _res, next) => {
          const user: string | undefined = req.session.userId
          const greeting: string = req.session.greet()
          const store: session.Store = req.sessionStore
          store.on('disconnect', () => user)
          next(greeting)
        })
        export = { cookie: new session.Cookie(), handler: all.sessions({ secret: 'x'.repeat(32) }) }`
    })
    compile(folder, 'node16', 'node16', 'index.cts')
  })

  it('refuses a misspelt key', () => {
    const folder = project(
      name,
      {
        'index.ts': `
          import express from 'express'
          import session from '${name}'
          declare module '${name}' { interface SessionData { userId: string } }
          express().use(session({ secret: 'x' }), (req) => { req.session.usrId = 'x' })`
      },
      'module'
    )
    expect(() => compile(folder, 'node16', 'node16', 'index.ts')).toThrow(/usrId/)
  })
})
