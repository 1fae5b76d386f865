import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { seal, unseal } from '../cookie/seal'
import type { StoreKey, StorePort } from '../store/port'

const PURPOSE = 'silverback next ID'
/** The hash of an ID, and the ID itself under the one before. */
const SEALED = /^([\w-]{43})~(E[\w-]+)$/

/** The ID that carries a session on, and the store's key of its record. */
export interface NextId {
  /** `undefined`: it is sealed under the ID before it, which is not known here. */
  readonly id: string | undefined
  readonly key: StoreKey
}

/**
 * What the record of an ID says of the one that carries its session on (`Meta.n`): the ID, sealed under its own where the
 * store is to see no ID.
 */
export function nameNext(port: StorePort, id: string, next: string): string {
  return port.hashesIds ? `${port.keyOf(next)}~${seal(keyOf(id), PURPOSE, next, 0)}` : next
}

/** The ID that the record of another one names so. @param id the record's own, where it is known */
export function nextOf(port: StorePort, id: string | undefined, named: string): NextId {
  const [, key, sealed] = (port.hashesIds && SEALED.exec(named)) || []
  if (sealed === undefined) return { id: named, key: port.keyOf(named) }
  return { id: id && unseal([keyOf(id)], PURPOSE, sealed)?.text, key: key as StoreKey }
}

function keyOf(id: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', id, '', PURPOSE, 32)))
}
