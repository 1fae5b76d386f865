import request from 'supertest'
import { sessions, Store } from '../lib/index'
import { appWith, cookieOf, secret } from './helpers/app'

describe('a store of any calling style', () => {
  const styles: Record<string, (kept: Map<string, string>) => object> = {
    direct: (kept) => ({
      get: (id: string) => JSON.parse(kept.get(id) ?? 'null'),
      set: (id: string, value: object) => void kept.set(id, JSON.stringify(value)),
      destroy: (id: string) => void kept.delete(id)
    }),
    promise: (kept) => ({
      get: async (id: string) => JSON.parse(kept.get(id) ?? 'null'),
      set: async (id: string, value: object) => void kept.set(id, JSON.stringify(value)),
      destroy: async (id: string) => void kept.delete(id)
    }),
    callback: (kept) => ({
      get: (id: string, callback: any) => void setImmediate(callback, null, JSON.parse(kept.get(id) ?? 'null')),
      set: (id: string, value: object, callback: any) => {
        kept.set(id, JSON.stringify(value))
        setImmediate(callback)
      },
      destroy: (id: string, callback: any) => {
        kept.delete(id)
        setImmediate(callback)
      }
    }),
    'promise, with patterns and comments in its parameters': (kept) => ({
      get: async (id: string) => JSON.parse(kept.get(id) ?? 'null'),
      set: async (id: string, { cookie, ...data }: any /* what there is, without the cookie */) =>
        void kept.set(id, JSON.stringify({ cookie, ...data })),
      destroy: async (id: string /* , and nothing else */) => void kept.delete(id)
    }),
    'callback with a default': (kept) => ({
      get: (id: string, callback: any = () => undefined) =>
        void setImmediate(callback, null, JSON.parse(kept.get(id) ?? 'null')),
      set: (id: string, value: object, callback: any = () => undefined) => {
        setImmediate(() => {
          kept.set(id, JSON.stringify(value))
          callback()
        })
      },
      destroy: (id: string, callback: any = () => undefined) => {
        kept.delete(id)
        setImmediate(callback)
      }
    })
  }

  it.each(Object.keys(styles))('%s: stores, loads, changes and destroys', async (style) => {
    const kept = new Map<string, string>()
    const app = appWith(sessions({ secret, store: styles[style]!(kept) as never }), {
      '/': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1)),
      '/out': async (req, res) => {
        await req.session.destroy()
        res.send('out')
      }
    })
    const cookie = cookieOf(await request(app).get('/'))!
    expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(2)
    expect(kept.size).toBe(1)
    await request(app).get('/out').set('Cookie', cookie)
    expect(kept.size).toBe(0)
  })

  type Method = (...args: any[]) => any
  const wrappers: Record<string, (method: Method) => Method> = {
    'a rest parameter':
      (method) =>
      (...args) =>
        method(...args),
    'async, with a rest parameter':
      (method) =>
      async (...args) =>
        method(...args),
    'named parameters and a rest':
      (method) =>
      (id: string, ...rest) =>
        method(id, ...rest),
    arguments: (method) =>
      function (this: unknown) {
        // eslint-disable-next-line prefer-rest-params
        return method.apply(this, arguments as never)
      },
    'jest.fn': (method) => jest.fn(method),
    'jest.fn of a wrapper': (method) => jest.fn((...args) => method(...args)),
    'jest.spyOn': (method) => {
      const holder = { method }
      jest.spyOn(holder, 'method')
      return holder.method
    },
    bind: (method) => method.bind(null),
    Proxy: (method) => new Proxy(method, {})
  }
  const native = ['bind', 'Proxy']
  const unclear: Record<string, (wrapper: string) => boolean> = {
    // What returns undefined at once says too little behind a wrapper.
    direct: (wrapper) => wrapper !== 'jest.fn' && !native.includes(wrapper),
    promise: () => false,
    'promise, with patterns and comments in its parameters': () => false,
    // The wrapper's promise tells nothing of the callback.
    callback: (wrapper) => wrapper.startsWith('async'),
    // Of native code nobody sees more than the number of parameters without a default.
    'callback with a default': (wrapper) => wrapper.startsWith('async') || native.includes(wrapper)
  }
  const wrapped = Object.keys(styles).flatMap((style) =>
    Object.keys(wrappers)
      .filter((wrapper) => !unclear[style]!(wrapper))
      .map((wrapper) => [style, wrapper] as const)
  )

  it.each(wrapped)('%s, every method behind %s: stores, loads, finds nothing, destroys', async (style, wrapper) => {
    const kept = new Map<string, string>()
    const plain = { ...styles[style]!(kept), touch: (styles[style]!(new Map()) as any).set }
    const store = Object.fromEntries(
      Object.entries(plain).map(([verb, method]) => [verb, wrappers[wrapper]!(method as Method)])
    )
    const app = appWith(sessions({ secret, store: store as never, touchAfter: 0 }), {
      '/': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1)),
      '/read': (req, res) => res.json(req.session.n ?? null),
      '/out': async (req, res) => {
        await req.session.destroy()
        res.send('out')
      }
    })
    const cookie = cookieOf(await request(app).get('/'))!
    expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(2)
    expect((await request(app).get('/read').set('Cookie', cookie)).body).toBe(2)
    expect(kept.size).toBe(1)
    expect((await request(app).get('/out').set('Cookie', cookie)).text).toBe('out')
    expect(kept.size).toBe(0)
    expect((await request(app).get('/read').set('Cookie', cookie)).body).toBe(null)
  })

  it.each(['a rest parameter', 'arguments', 'jest.fn', 'jest.spyOn'])(
    'undefined by promise, behind %s, is no session',
    async (wrapper) => {
      const kept = new Map<string, object>()
      const get = wrappers[wrapper]!(async (id: string) => kept.get(id))
      const set = async (id: string, record: object) => void kept.set(id, structuredClone({ ...record, cookie: {} }))
      const app = appWith(sessions({ secret, store: { get, set, destroy: async () => undefined } }), {
        '/': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1))
      })
      const cookie = cookieOf(await request(app).get('/'))!
      expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(2)
      kept.clear()
      expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(1)
    }
  )

  it('waits for the callback that a wrapper passes on, and fails aloud where none comes', async () => {
    const silent = (..._args: unknown[]) => undefined
    const store = { get: silent, set: silent, destroy: silent }
    const app = appWith(sessions({ secret, store, storeTimeout: 20 }), {
      '/': (req, res) => res.json((req.session.n = 1))
    })
    const res = await request(app).get('/')
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_STORE_TIMEOUT'])
  })

  it('a short function is not taken for its first call', async () => {
    const kept = new Map<string, object>()
    const find = async (id: string, _of: unknown) => kept.get(id)
    // As applications write it: the formatter here would add parentheses.
    const get = new Function('find', 'kept', 'return async id => { return await find(id, kept) }')(find, kept)
    const app = appWith(sessions({ secret, store: { get, set() {}, destroy() {} } }), {
      '/': (req, res) => res.json((req.session.n = (req.session.n ?? 0) + 1))
    })
    const cookie = cookieOf(await request(app).get('/'))!
    expect((await request(app).get('/').set('Cookie', cookie)).body).toBe(1)
  })

  it('is heard once where it answers twice, and fails where it throws', async () => {
    const store: any = new (Store as any)()
    store.get = (_id: string, callback: any) => {
      callback(null, null)
      callback(null, null)
    }
    store.destroy = (_id: string, callback: any) => callback()
    store.set = () => {
      throw new Error('thrown')
    }
    const app = appWith(sessions({ secret, store }), {
      '/': (req, res) => {
        req.session.x = 1
        res.send('x')
      }
    })
    const res = await request(app).get('/')
    expect([res.status, res.body.code]).toEqual([500, 'ERR_SESSION_STORE'])
  })
})
