import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Consumer, pack, run, tool } from '../helpers/consumer'

const manifest = JSON.parse(readFileSync(path.resolve(__dirname, '../../package.json'), 'utf8'))
const paths = Object.keys(manifest.exports).map((key) => key.slice(1))
const VALUES = 'Store MemoryStore CookieStore FileStore Session Cookie SessionError sessions requireSession generateKey'
const NAMES = VALUES.split(' ').join(', ')
const COMPILERS = [
  ['TypeScript 5.9', 'typescript'],
  ['TypeScript 7', 'typescript7']
]

let work: string
let tarball: string

beforeAll(() => {
  work = mkdtempSync(path.join(tmpdir(), 'silverback-package-'))
  tarball = pack(work)
})

afterAll(() => rmSync(work, { recursive: true, force: true }))

describe('the packed package', () => {
  it('holds the build, the documents and the examples, and nothing else', () => {
    const files = run(work, 'tar', 'tzf', tarball).trim().split('\n')
    const kinds =
      /^package\/(dist\/.*\.(js|d\.ts)|docs\/.*\.(md|svg)|examples\/(package\.json|.*\.(js|md|ts)|login\/public\/.*|go\/.*))$/
    const documents = (manifest.files as string[]).filter((name) => /^[A-Z]+\.md$/.test(name))
    const expected = [...documents, 'LICENSE', 'README.md', 'package.json'].map((name) => `package/${name}`)
    expect(files.filter((file) => !kinds.test(file)).sort()).toEqual(expected.sort())
  })

  it('links to nothing that is not in it', () => {
    const files = run(work, 'tar', 'tzf', tarball).trim().split('\n')
    const targets = files
      .filter((file) => file.endsWith('.md'))
      .flatMap((file) =>
        [...run(work, 'tar', 'xzOf', tarball, file).matchAll(/\]\((?!https?:|mailto:|#)([^)#]+)/g)].map(([, target]) =>
          path.join(path.dirname(file), target!)
        )
      )
    expect(targets.length).toBeGreaterThan(10)
    expect(targets.filter((target) => !files.some((file) => file === target || file.startsWith(`${target}/`)))).toEqual(
      []
    )
  })

  it('is at most 500 KB to download', () => {
    expect(statSync(tarball).size).toBeLessThan(500_000)
  })

  it('installs beside any version of a database client that the application has for itself', () => {
    const { peerDependencies, peerDependenciesMeta } = manifest
    const peers = Object.keys(peerDependencies)
    expect(peers).toContain('redis')
    expect(peers.filter((peer) => peerDependencies[peer] !== '*' || !peerDependenciesMeta[peer]?.optional)).toEqual([])
  })

  it('is clean for publint', () => {
    expect(tool(work, 'publint/src/cli.js', 'run', tarball, '--strict')).toMatch(/All good/)
  })

  it('has the right types under every module resolution', () => {
    const said = tool(work, '@arethetypeswrong/cli/dist/index.js', tarball, '--profile', 'strict', '--no-emoji')
    expect(said).toMatch(/No problems found/)
  })
})

describe.each(['silverback', 'express-session'])('installed as %s', (name) => {
  let consumer: Consumer

  beforeAll(() => {
    consumer = new Consumer(path.join(work, name), tarball, name)
  })

  it('brings the command silverback', () => {
    expect(consumer.command('silverback', 'secret')).toMatch(/^[\w-]{43}\n$/)
    expect(consumer.command('silverback', '--version')).toBe(`${manifest.version}\n`)
  })

  it('is the callable drop-in for require, with every name on it', () => {
    consumer.node(
      'required.cjs',
      `
        const session = require('PACKAGE')
        const expect = require('assert')
        expect.equal(typeof session, 'function')
        for (const key of '${VALUES}'.split(' ')) expect.equal(typeof session[key], 'function', key)
        const auth = session.sessions({ secret: session.generateKey() })
        expect.equal(auth.length, 3)
        expect.equal(typeof auth.revoke, 'function')
        const twins = { store: 'Store', memory: 'MemoryStore', session: 'Session', cookie: 'Cookie' }
        for (const [path, key] of Object.entries(twins)) {
          expect.equal(require('PACKAGE/session/' + path), session[key], path)
          expect.equal(require('PACKAGE/session/' + path + '.js'), session[key], path)
        }
        expect.equal(require('PACKAGE/index.js'), session)
        expect.match(require('PACKAGE/package.json').version, /^1\\.2\\d\\./)
        function Legacy() { session.Store.call(this) }
        require('util').inherits(Legacy, session.Store)
        expect.equal(typeof new Legacy().on, 'function')`
    )
  })

  it('imports by default, by name and as a namespace from ESM', () => {
    consumer.node(
      'imported.mjs',
      `
        import expect from 'node:assert'
        import session, { ${NAMES} } from 'PACKAGE'
        import * as all from 'PACKAGE'
        import { RedisStore } from 'PACKAGE/redis'
        import { sessionCookie } from 'PACKAGE/testing'
        expect.equal(all.default, session)
        for (const [key, value] of Object.entries({ ${NAMES} })) {
          expect.equal(value, session[key], key)
          expect.equal(all[key], session[key], key)
        }
        expect.equal(typeof RedisStore, 'function')
        expect.equal(typeof sessionCookie, 'function')`
    )
  })

  it.each(paths)('answers require and import of %p', (subpath) => {
    const attributes = subpath.endsWith('.json') ? ", { with: { type: 'json' } }" : ''
    consumer.node(
      'path.cjs',
      `
        const required = require('PACKAGE${subpath}')
        const names = typeof required === 'function' ? [required.name] : Object.keys(required)
        if (names.length === 0) throw new Error('nothing in it')
        import('PACKAGE${subpath}'${attributes}).then((imported) => {
          if (imported.default !== required) throw new Error('not the same by import')
        })`
    )
  })

  const everywhere = ['every-import', 'own-requests', 'schema', 'stores', 'store-verbs']
  const inEsm = everywhere.map((file) => `${file}.mts`)
  const inCommonJs = [...everywhere, 'import-require'].map((file) => `${file}.cts`)

  it.each(COMPILERS)('%s types strict applications in ESM and CommonJS, and refuses a misspelt key', (_, compiler) => {
    // Without `skipLibCheck`: the package's own declarations are checked as well.
    const flags = ['--module', 'node16', '--esModuleInterop', '--noImplicitOverride', '--types', 'node,express']
    const said = consumer.compile([...inEsm, ...inCommonJs, 'misspelt.mts'], flags, compiler)
    expect(said).toEqual([expect.stringMatching(/^misspelt\.mts.* Property 'usrId' does not exist/)])
  })

  it.each(COMPILERS)('%s types applications for bundlers', (_, compiler) => {
    const flags = ['--module', 'esnext', '--moduleResolution', 'bundler', '--skipLibCheck', '--types', 'node,express']
    expect(consumer.compile(inEsm, flags, compiler)).toEqual([])
  })

  // With `node10` resolution, which TypeScript 7 has no longer.
  it('types applications that compile to CommonJS without interop', () => {
    const flags = ['--module', 'commonjs', '--moduleResolution', 'node10', '--skipLibCheck', '--types', 'node,express']
    expect(consumer.compile(['without-interop.ts'], flags)).toEqual([])
  })

  it('types applications that still have @types/express-session, and the stores that need it', () => {
    consumer.leaveTypes()
    const files = [...inEsm, 'import-require.cts', 'foreign-store.mts']
    expect(consumer.compile(files, ['--module', 'node16', '--esModuleInterop', '--skipLibCheck'])).toEqual([])
  })
})
