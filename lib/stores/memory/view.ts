import { lifeOf } from '../record-store'
import { compact } from '../../base/maps'
import type { MemoryPowers } from './powers'

/** A plain-looking object, ID -> JSON, over texts that lie elsewhere: what apps know as `MemoryStore.sessions`. */
export function viewOf(kept: MemoryPowers): Record<string, string> {
  const read = (id: string | symbol) => (typeof id === 'string' ? kept.read(id)?.text : undefined)
  const write = (id: string | symbol, text: unknown): true => {
    if (typeof id !== 'string') return true
    if (typeof text === 'string') {
      const { life, user } = lifeOf(text, null)
      kept.put(id, compact(text), life, user)
    } else {
      kept.remove(id)
    }
    return true
  }
  const target = Object.create(null) as Record<string, string>
  // console.log looks at what is behind a proxy.
  const show = () => Object.fromEntries(kept.ids().map((id) => [id, read(id)]))
  Object.defineProperty(target, Symbol.for('nodejs.util.inspect.custom'), { configurable: true, value: show })
  return new Proxy(target, {
    get: (_, id) => read(id),
    has: (_, id) => read(id) !== undefined,
    ownKeys: () => kept.ids(),
    set: (_, id, text) => write(id, text),
    deleteProperty: (_, id) => write(id, undefined),
    getOwnPropertyDescriptor(_, id) {
      const value = read(id)
      return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true }
    }
  })
}
