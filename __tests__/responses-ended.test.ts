import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { pipeline, Readable } from 'node:stream'
import { sessions } from '../lib/index'
import { deferred, secret } from './helpers/app'
import { classic, plainStore } from './helpers/classic'
import { exchange, get, serving } from './helpers/raw'

describe('a response that is written to after its end', () => {
  type Handle = (res: any, told: (what: string) => (err?: { code?: string }) => void) => void
  const calls: Record<string, Handle> = {
    'write(), with a callback': (res, told) => void told('answer')({ code: res.write('late', told('callback')) }),
    'write(), with nothing to write': (res, told) => void told('answer')({ code: res.write('', told('callback')) }),
    'write(), without a callback': (res, told) => void told('answer')({ code: res.write('late') }),
    'end() with a part of the body': (res, told) => void res.end('late', told('callback')),
    'end() with a part of the body, without a callback': (res) => void res.end('late'),
    'end() without any, nor a callback': (res) => void res.end()
  }
  const doors: [string, () => any][] = [
    ['sessions()', () => sessions({ secret })],
    ['sessions(), over a store that answers later', () => sessions({ secret, store: plainStore() })],
    ['the drop-in door', () => classic()],
    ['the drop-in door, over a store that answers later', () => classic({ store: plainStore() })]
  ]

  async function seenBehind(middleware: any, call: Handle, listens: boolean) {
    const seen: string[] = []
    const told = (what: string) => (err?: { code?: string }) => void seen.push(`${what} ${err?.code}`)
    const { promise, resolve } = deferred()
    const listener = (req: any, res: any) =>
      middleware(req, res, () => {
        if (req.session) req.session.user = 'ann'
        res.on('close', resolve)
        if (listens) res.on('error', told('error'))
        res.end('in time', told('end'))
        call(res, told)
      })
    let text = ''
    await serving(listener, async (port) => {
      text = (await exchange(port, get('/'))).toString()
      await promise
    })
    return { seen: seen.sort(), body: text.split('\r\n\r\n')[1] }
  }

  const bare = (_req: unknown, _res: unknown, next: () => void) => next()

  it.each(doors.flatMap(([door, open]) => Object.keys(calls).map((name) => [name, door, open] as const)))(
    '%s: as without any session, behind %s',
    async (name, _door, open) => {
      expect(await seenBehind(open(), calls[name]!, true)).toEqual(await seenBehind(bare, calls[name]!, true))
    }
  )

  it.each(doors.filter(([door]) => door.endsWith('later')))(
    'ends no process whose session waits for the store, where nobody listens for the error, behind %s',
    async (_door, open) => {
      const { seen, body } = await seenBehind(open(), calls['write(), with a callback']!, false)
      expect(seen).toEqual(['answer false', 'callback ERR_STREAM_WRITE_AFTER_END', 'end undefined'])
      expect(body).toBe('in time')
    }
  )

  it.each(doors)('tells each write of its error, and warns of no listeners, behind %s', async (_door, open) => {
    const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const writeOften: Handle = (res) => Array.from({ length: 20 }, () => res.write('late'))
    const { seen } = await seenBehind(open(), writeOften, true)
    expect(seen.filter((what) => what === 'error ERR_STREAM_WRITE_AFTER_END')).toHaveLength(20)
    expect(warned).not.toHaveBeenCalled()
    warned.mockRestore()
  })

  it.each(doors)('costs nobody the answer where the error ends the response, behind %s', async (_door, open) => {
    for (const late of ['write', 'end'] as const) {
      const { body } = await seenBehind(open(), (res) => void res.on('error', () => res.destroy())[late]('late'), false)
      expect(body).toBe('in time')
    }
    const piped = await seenBehind(open(), (res) => pipeline(Readable.from(['late', 'later']), res, () => {}), false)
    expect(piped.body).toBe('in time')
  })

  it.each(doors)(
    'is answered, stored and over, where it is destroyed right after its end, behind %s',
    async (_, open) => {
      const saved = jest.fn()
      subscribe('silverback:saved', saved)
      const destroys: Handle[] = [
        (res) => void res.destroy(),
        (res) => void res.destroy().destroy(),
        (res) => process.nextTick(() => res.destroy())
      ]
      for (const destroy of destroys) {
        const call: Handle = (res, told) => (
          res.on('close', () => told('over')({ code: res.destroyed })),
          destroy(res, told)
        )
        const { seen, body } = await seenBehind(open(), call, true)
        expect([body, seen]).toEqual(['in time', ['end undefined', 'over true']])
      }
      unsubscribe('silverback:saved', saved)
      expect(saved).toHaveBeenCalledTimes(destroys.length)
    }
  )

  it.each(doors)('is stored where it is destroyed with an error, behind %s', async (_, open) => {
    const { promise: stored, resolve } = deferred()
    const saved = () => resolve()
    subscribe('silverback:saved', saved)
    await seenBehind(open(), (res) => void res.destroy(new Error('why not')), true)
    await stored
    unsubscribe('silverback:saved', saved)
  })

  it.each(doors)('calls back for a second end() without a part of the body, behind %s', async (_door, open) => {
    const { seen } = await seenBehind(open(), (res, told) => told('answer')({ code: res.end(told('second')) }), true)
    expect(seen).toEqual([
      'answer false',
      'end undefined',
      expect.stringMatching(/^second (undefined|ERR_STREAM_ALREADY_FINISHED)$/)
    ])
  })
})
