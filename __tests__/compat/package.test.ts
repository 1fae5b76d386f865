import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import session from '../../lib/index'

const root = join(__dirname, '../..')

describe('the package', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

  it('satisfies ^1.17.1 and ^1.0.0 as an alias of express-session', () => {
    const [major, minor] = manifest.version.split('.').map(Number)
    expect(major).toBe(1)
    expect(minor).toBeGreaterThanOrEqual(20)
  })

  it('exports the paths that stores import, leading to the same classes', () => {
    for (const [path, Class] of Object.entries({
      store: session.Store,
      memory: session.MemoryStore,
      session: session.Session,
      cookie: session.Cookie
    })) {
      expect(manifest.exports).toHaveProperty([`./session/${path}`])
      expect(manifest.exports).toHaveProperty([`./session/${path}.js`])
      expect(require(`../../lib/deep/${path}`)).toBe(Class)
    }
    expect(Object.keys(manifest.exports)).toEqual(expect.arrayContaining(['./index.js', './package.json']))
  })

  it('has one build, and only CommonJS in it', () => {
    expect(manifest.type).toBe('commonjs')
    for (const target of Object.values<any>(manifest.exports)) {
      expect(
        Object.keys(typeof target === 'string' ? {} : target).filter((key) => /import|require|module/.test(key))
      ).toEqual([])
    }
    expect(new session.MemoryStore()).toBeInstanceOf(session.Store)
  })
})
