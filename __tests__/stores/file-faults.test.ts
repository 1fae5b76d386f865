import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import request from 'supertest'
import { infoOf, sessions } from '../../lib/index'
import { POWERS } from '../../lib/store/contract'
import { FileStore } from '../../lib/stores/file/file'
import { hashOf } from '../../lib/stores/file/folder'
import { appWith, cookieOf, secret } from '../helpers/app'
import { Child } from '../helpers/child'
import { TestFolder } from '../helpers/folder'

const NOBODY = 65534
const cookie = { originalMaxAge: null, expires: null, path: '/' }

let folder: TestFolder
let store: FileStore

beforeEach(() => {
  folder = new TestFolder()
  store = new FileStore({ path: folder.at('s') })
})

afterEach(async () => {
  jest.restoreAllMocks()
  await store.close().catch(() => undefined)
  folder.remove()
})

const placeOf = (id: string) => folder.at('s', 'records', hashOf(id).slice(0, 2), hashOf(id).slice(2))

function app(on = store) {
  return appWith(sessions({ secret, store: on }), {
    '/login': async (req, res) => {
      await req.session.regenerate()
      req.session.user = 'ann'
      res.send('in')
    },
    '/write': (req, res) => {
      req.session.big = 'x'.repeat(Number(req.query.size))
      res.send('saved')
    },
    '/logout': async (req, res) => {
      await req.session.destroy()
      res.send('out')
    },
    '/': (req, res) => res.json({ user: req.session.user, error: infoOf(req.session).error?.code })
  })
}

async function login(server: ReturnType<typeof app>): Promise<string> {
  const res = await request(server).get('/login')
  expect(res.text).toBe('in')
  return cookieOf(res)!
}

describe('a full disk', () => {
  const mountPoint = new TestFolder()
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mountPoint.path]).status === 0

  afterAll(() => {
    if (mounted) spawnSync('umount', ['-l', mountPoint.path])
    mountPoint.remove()
  })

  function fill(): void {
    for (const size of [4096, 1]) {
      for (let i = 0; ; i++) {
        try {
          writeFileSync(mountPoint.at(`fill-${size}-${i}`), 'x'.repeat(size))
        } catch {
          break
        }
      }
    }
  }

  function breakDisk(): void {
    if (mounted) return fill()
    const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' })
    const { open } = fs
    jest.spyOn(fs, 'open').mockImplementation(async (...args) => {
      const file = await open(...args)
      if (args[1] === 'wx') file.writeFile = () => Promise.reject(full)
      return file
    })
  }

  it(`ENOSPC on save is an error, the old session stays, no temporary file is left (${mounted ? 'a full tmpfs' : 'injected: mount is not permitted here'})`, async () => {
    const path = mounted ? mountPoint.at('s') : folder.at('s')
    const full = new FileStore({ path })
    const server = app(full)
    const sid = await login(server)
    breakDisk()
    const res = await request(server).get('/write?size=9000').set('Cookie', sid)
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_STORE'])
    expect(res.headers['set-cookie']).toBeUndefined()
    expect((await request(server).get('/').set('Cookie', sid)).body).toEqual({ user: 'ann' })
    await expect(full.set('other', { cookie, x: 'x'.repeat(9000) })).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE',
      message: 'The session folder fails with ENOSPC: the disk is full.',
      cause: { code: 'ENOSPC' }
    })
    expect(await fs.readdir(`${path}/temp`)).toEqual([])
    // A full disk keeps nobody logged in.
    expect((await request(server).get('/logout').set('Cookie', sid)).text).toBe('out')
    expect((await request(server).get('/').set('Cookie', sid)).body.error).toBe('ERR_SESSION_MISSING')
    await full.close()
  })
})

describe('a folder that cannot be used', () => {
  it('EACCES is an error for every verb, as a user who may not enter', async () => {
    await store.set('a', { cookie })
    chmodSync(folder.path, 0o755)
    chmodSync(folder.at('s'), process.getuid!() === 0 ? 0o700 : 0)
    const child = await Child.start('file-child', process.getuid!() === 0 ? { uid: NOBODY } : {})
    for (const [verb, ...args] of [['get', 'a'], ['set', 'a', {}], ['acquire', 'a', 'token', 1000], ['sweep']] as [
      string,
      ...unknown[]
    ][]) {
      await expect(child.call(verb, folder.at('s'), ...args)).rejects.toMatchObject({
        code: 'ERR_SESSION_STORE',
        message: 'The session folder fails with EACCES: this process may not use it.'
      })
    }
    await child.kill()
    chmodSync(folder.at('s'), 0o700)
    expect(await store.get('a')).not.toBeNull()
  })

  it('a removed folder: save, login, logout and reading are errors each time, and it is not made again', async () => {
    const server = app()
    const sid = await login(server)
    rmSync(folder.at('s'), { recursive: true })
    for (let round = 0; round < 2; round++) {
      for (const path of ['/', '/write?size=1', '/logout']) {
        const res = await request(server).get(path).set('Cookie', sid)
        expect([path, res.status >= 500, res.body.code]).toEqual([path, true, 'ERR_SESSION_STORE'])
      }
      const res = await request(server).get('/login')
      expect([res.status >= 500, res.headers['set-cookie']]).toEqual([true, undefined])
    }
    await expect(store.ids()).rejects.toMatchObject({ cause: { code: 'ENOENT' } })
    await expect(store.sweep()).rejects.toMatchObject({ cause: { code: 'ENOENT' } })
    await expect(fs.stat(folder.at('s'))).rejects.toThrow('ENOENT')
  })

  it('works again once the folder is back, with or without what was in it', async () => {
    await store.set('a', { cookie })
    renameSync(folder.at('s'), folder.at('elsewhere'))
    await expect(store.set('a', { cookie })).rejects.toMatchObject({ code: 'ERR_SESSION_STORE' })
    renameSync(folder.at('elsewhere'), folder.at('s'))
    expect(await store.get('a')).not.toBeNull()
    for (const name of await fs.readdir(folder.at('s'))) rmSync(folder.at('s', name), { recursive: true })
    expect(await store.get('a')).toBeNull()
    await store.set('a', { cookie })
    expect(await store.ids()).toEqual(['a'])
  })

  it('a file in place of the folder, or of one inside, is an error', async () => {
    writeFileSync(folder.at('s'), '')
    await expect(store.get('a')).rejects.toMatchObject({ code: 'ERR_SESSION_STORE' })
    await expect(store.set('a', { cookie })).rejects.toMatchObject({ code: 'ERR_SESSION_STORE' })
    rmSync(folder.at('s'))
    mkdirSync(folder.at('s'))
    writeFileSync(folder.at('s', 'records'), '')
    await expect(store.get('a')).rejects.toMatchObject({ code: 'ERR_SESSION_STORE' })
    await expect(store.set('a', { cookie })).rejects.toMatchObject({ code: 'ERR_SESSION_STORE' })
    expect(folder.files('s', 'temp')).toEqual([])
  })

  it('says neither ID nor data in an error', async () => {
    await store.set('secret-id', { cookie })
    rmSync(folder.at('s'), { recursive: true })
    const err = await store.set('secret-id', { cookie, word: 'secret-data' })!.catch((reason) => reason)
    expect(require('node:util').inspect(err, { depth: 9, showHidden: true })).not.toMatch(/secret-(id|data)/)
  })

  it('still reads when the disk takes no changes, and then says that it extends nothing', async () => {
    const text = '{"cookie":{},"n":1}'
    const usedAt = Date.now() - 1000
    const life = { usedAt, expiresAt: usedAt + 60_000 }
    await store[POWERS].write({ id: 'a', text, expected: null, life })
    const readOnly = Object.assign(new Error('EROFS'), { code: 'EROFS', syscall: 'utime' })
    jest.spyOn(fs, 'lutimes').mockRejectedValue(readOnly)
    expect(await store[POWERS].read('a')).toEqual({ text, ...life })
    await expect(store[POWERS].extend('a', life)).rejects.toMatchObject({ code: 'ERR_SESSION_STORE', cause: readOnly })
  })
})

describe('what is no session', () => {
  const PLANTS: [string, (place: string) => void][] = [
    ['an empty file', (place) => writeFileSync(place, '')],
    ['a truncated file', (place) => writeFileSync(place, readFileSync(place).subarray(0, -1))],
    ['a file with only a header', (place) => writeFileSync(place, readFileSync(place, 'utf8').split('\n')[0]!)],
    ['a file of zeros', (place) => writeFileSync(place, Buffer.alloc(statSync(place).size))],
    ['a file that is too long', (place) => writeFileSync(place, readFileSync(place, 'utf8') + 'x')],
    ['a foreign file', (place) => writeFileSync(place, '{"cookie":{},"n":1}')],
    ['00 ff', (place) => writeFileSync(place, Buffer.from([0, 0xff]))],
    ['the file of another session', (place) => renameSync(placeOf('b'), place)],
    ['text that is no object', (place) => writeFileSync(place, headerOf(place, 2) + '42')],
    ['a folder', (place) => (rmSync(place), mkdirSync(place), writeFileSync(`${place}/x`, ''))],
    ['a named pipe', (place) => (rmSync(place), spawnSync('mkfifo', [place]))],
    ['a link to a session', (place) => (rmSync(place), symlinkSync(placeOf('b'), place))],
    ['a link out of the folder', (place) => (rmSync(place), symlinkSync(folder.at('outside'), place))],
    ['a link to nothing', (place) => (rmSync(place), symlinkSync('/nowhere', place))]
  ]

  const headerOf = (place: string, bytes: number) =>
    readFileSync(place, 'utf8')
      .replace(/"bytes":\d+/, `"bytes":${bytes}`)
      .split('\n')[0] + '\n'

  beforeEach(async () => {
    writeFileSync(folder.at('outside'), 'untouched')
    await store.set('a', { cookie, n: 1 })
    await store.set('b', { cookie, n: 2 })
  })

  it.each(PLANTS)('%s is null, and looked at only once', async (_, plant) => {
    plant(placeOf('a'))
    expect(await store.get('a')).toBeNull()
    const quarantined = await fs.readdir(folder.at('s', 'quarantine'))
    expect(quarantined).toEqual([expect.stringMatching(new RegExp(`^\\d{16}-${hashOf('a')}$`))])
    const open = jest.spyOn(fs, 'open')
    expect(await store.get('a')).toBeNull()
    expect(open).toHaveBeenCalledTimes(1)
    expect(await fs.readdir(folder.at('s', 'quarantine'))).toEqual(quarantined)
    expect(readFileSync(folder.at('outside'), 'utf8')).toBe('untouched')
    await store.set('a', { cookie, n: 3 })
    expect(await store.get('a')).toMatchObject({ n: 3 })
  })

  it.each(PLANTS)('%s gives way to a session, and is not destroyed with one', async (_, plant) => {
    plant(placeOf('a'))
    expect(
      await store[POWERS].write({ id: 'a', text: '{"cookie":{},"n":3}', expected: '{"cookie":{},"n":1}', life: life() })
    ).toBeNull()
    await expect(fs.readdir(folder.at('s', 'quarantine'))).resolves.toHaveLength(1)
    expect(await store[POWERS].remove('a')).toBe(false)
    expect(await store[POWERS].write({ id: 'a', text: '{"cookie":{},"n":3}', expected: null, life: life() })).toBe(true)
    expect(await store.get('a')).toMatchObject({ n: 3 })
    expect(readFileSync(folder.at('outside'), 'utf8')).toBe('untouched')
  })

  it('text that is no JSON is null', async () => {
    writeFileSync(placeOf('a'), headerOf(placeOf('a'), 5) + '{"a:}')
    expect(await store.get('a')).toBeNull()
  })

  it('a truncated file is a fresh session with its reason', async () => {
    const server = app()
    const sid = await login(server)
    const place = folder.at(
      's',
      'records',
      folder.files('s', 'records').find((file) => !placeOf('a').endsWith(file) && !placeOf('b').endsWith(file))!
    )
    writeFileSync(place, readFileSync(place).subarray(0, -10))
    expect((await request(server).get('/').set('Cookie', sid)).body).toEqual({ error: 'ERR_SESSION_CORRUPT' })
    expect((await request(server).get('/').set('Cookie', sid)).body).toEqual({ error: 'ERR_SESSION_MISSING' })
  })

  it('the sweep quarantines too, and keeps a bounded number', async () => {
    for (let i = 0; i < 120; i++) {
      await store.set(`id${i}`, { cookie })
      writeFileSync(placeOf(`id${i}`), '')
    }
    await store.sweep()
    await expect(fs.readdir(folder.at('s', 'quarantine'))).resolves.toHaveLength(100)
    expect((await store.ids())!.sort()).toEqual(['a', 'b'])
  })

  it('is null also where it cannot be moved aside', async () => {
    writeFileSync(placeOf('a'), '')
    jest.spyOn(fs, 'rename').mockRejectedValue(Object.assign(new Error('EROFS'), { code: 'EROFS', syscall: 'rename' }))
    expect(await store.get('a')).toBeNull()
  })

  it.each(PLANTS.filter(([what]) => !/another session|no object/.test(what)))('%s is no lock', async (_, plant) => {
    const { lock } = store[POWERS]
    await lock!.acquire('a', 'x', 60_000)
    plant(folder.at('s', 'leases', hashOf('a')))
    expect(await lock!.acquire('a', 'y', 60_000)).toBe(true)
    expect([await lock!.acquire('a', 'z', 60_000), await lock!.renew('a', 'y', 60_000)]).toEqual([false, true])
    expect(readFileSync(folder.at('outside'), 'utf8')).toBe('untouched')
  })

  const life = () => ({ usedAt: Date.now(), expiresAt: null })
})

it('an unknown ID costs one look at the file and one at the folder, and no retries', async () => {
  await store.set('a', { cookie })
  const calls = (['open', 'stat', 'readFile', 'readdir', 'link', 'access', 'lstat'] as const).map((name) =>
    jest.spyOn(fs, name)
  )
  const timer = jest.spyOn(globalThis, 'setTimeout')
  expect(await store.get('unknown')).toBeNull()
  expect(calls.map((call) => call.mock.calls.length)).toEqual([1, 1, 0, 0, 0, 0, 0])
  expect(timer).not.toHaveBeenCalled()
})

it('files are for their owner only, folders too, whatever the umask', async () => {
  const umask = process.umask(0)
  try {
    await store.set('a', JSON.parse('{"cookie":{},"__silverback":{"u":1,"c":1,"i":"ann"}}'))
    await store[POWERS].lock!.acquire('a', 'token', 1000)
    writeFileSync(placeOf('a'), '')
    expect(await store.get('a')).toBeNull()
    await store.sweep()
    await store.set('a', { cookie })
  } finally {
    process.umask(umask)
  }
  const entries = await fs.readdir(folder.at('s'), { recursive: true, withFileTypes: true })
  expect(entries.length).toBeGreaterThan(8)
  for (const entry of entries) {
    const { mode } = statSync(`${entry.parentPath}/${entry.name}`)
    // What is in quarantine keeps its own.
    if (!entry.parentPath.endsWith('quarantine')) expect(mode & 0o777).toBe(entry.isDirectory() ? 0o700 : 0o600)
  }
  expect(statSync(folder.at('s')).mode & 0o777).toBe(0o700)
})

it('no ID reaches a file outside its folder, and none is in a file name', async () => {
  const ids = [
    '../victim',
    '../../victim',
    '/etc/passwd',
    'a/b',
    'a\\b',
    'C:x',
    'a\0b',
    '*',
    '.',
    '..',
    '',
    'CON',
    'x'.repeat(4096)
  ]
  writeFileSync(folder.at('victim'), 'untouched')
  for (const id of ids) {
    await store.set(id, JSON.parse(`{"cookie":{},"__silverback":{"u":1,"c":1,"i":${JSON.stringify(id || 'x')}}}`))
    expect(await store[POWERS].lock!.acquire(id, 'token', 60_000)).toBe(true)
    expect(await store.get(id)).not.toBeNull()
    expect(await store[POWERS].list!(id || 'x')).toHaveLength(1)
  }
  expect((await store.ids())!.sort()).toEqual([...ids].sort())
  expect(folder.files().filter((file) => !file.startsWith('s/'))).toEqual(['victim'])
  for (const file of folder.files('s', 'records')) expect(file).toMatch(/^[0-9a-f]{2}\/[0-9a-f]{62}$/)
  for (const file of folder.files('s', 'users')) expect(file).toMatch(/^[0-9a-f]{64}\/[0-9a-f]{64}$/)
  for (const file of folder.files('s', 'leases')) expect(file).toMatch(/^[0-9a-f]{64}$/)
  for (const id of ids) await store.destroy(id)
  expect(folder.files('s', 'records')).toEqual([])
  expect(readFileSync(folder.at('victim'), 'utf8')).toBe('untouched')
})
