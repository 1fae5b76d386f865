import { BOOL, BYTES, FLOAT, INT, INTERFACE, STRING, UINT } from './gob-read'
import { UNIX_EPOCH } from './gob-decode'
import { BYTES_NAME, isInteger, TIME, type GoPayload, type GoValue } from './gob-values'

const FIRST_ID = 65

/** Encodes a session as gorilla/sessions does: one `map[interface{}]interface{}` with string keys. */
export function encodeGob(session: Map<string, GoValue>): Buffer {
  return new Encoder().session(session)
}

class Encoder {
  readonly #ids = new Map<string, number>()
  #nextId = FIRST_ID

  session(session: Map<string, GoValue>): Buffer {
    const id = this.#nextId++
    // wireType.MapT is field 4: CommonType with the ID alone, key, element.
    const definition = [int(-id), uint(4), uint(1), uint(2), int(id), uint(0)]
    definition.push(uint(1), int(INTERFACE), uint(1), int(INTERFACE), uint(0), uint(0))
    const parts = [int(id), uint(0), uint(session.size)]
    for (const [key, value] of session)
      parts.push(this.#interface({ type: 'string', value: key }), this.#interface(value))
    return Buffer.concat([delimited(definition), delimited(parts)])
  }

  #interface({ type, value }: GoValue): Buffer {
    if (value === null) return uint(0)
    const id = this.#idOf(type)
    const definitions = id.defined ? [] : this.#definition(type, id.value)
    const body = delimited([uint(0), this.#payload(type, value)])
    const rest = Buffer.concat([int(id.value), body])
    return Buffer.concat([text(type), ...nest(definitions, rest)])
  }

  #payload(type: string, value: GoPayload): Buffer {
    if (typeof value === 'boolean') return uint(value ? 1 : 0)
    if (typeof value === 'string') return text(value)
    if (typeof value === 'bigint') return type.startsWith('u') ? uint(value) : int(value)
    if (typeof value === 'number') return float(value)
    if (value instanceof Date) return bytes(timeBytes(value))
    if (value instanceof Uint8Array) return bytes(value)
    if (value === null) return uint(0)
    const inner = type.replace(/^(?:\[\]|map\[string\])/, '')
    const element = (item: GoValue) =>
      inner === 'interface {}' ? this.#interface(item) : this.#payload(inner, item.value)
    if (Array.isArray(value)) return Buffer.concat([uint(value.length), ...value.map(element)])
    return Buffer.concat([uint(value.size), ...[...value].flatMap(([key, item]) => [text(key), element(item)])])
  }

  #idOf(type: string): { value: number; defined: boolean } {
    const basic = basicId(type)
    if (basic !== undefined) return { value: basic, defined: true }
    const known = this.#ids.get(type)
    if (known !== undefined) return { value: known, defined: true }
    const value = this.#nextId++
    this.#ids.set(type, value)
    return { value, defined: false }
  }

  // The definitions that a type needs, inner ones after it, each as the bytes behind its negative ID.
  #definition(type: string, id: number): Buffer[] {
    const common = [uint(1), uint(2), int(id), uint(0)]
    if (type === TIME) {
      // GobEncoderT is field 5; encoding/gob gives the type's name as well.
      return [
        Buffer.concat([int(-id), uint(5), uint(1), uint(1), text('Time'), uint(1), int(id), uint(0), uint(0), uint(0)])
      ]
    }
    const map = type.startsWith('map[string]')
    const inner = this.#idOf(type.replace(/^(?:\[\]|map\[string\])/, ''))
    const innerType = type.replace(/^(?:\[\]|map\[string\])/, '')
    const parts = [int(-id), uint(map ? 4 : 2), ...common]
    if (map) parts.push(uint(1), int(STRING))
    parts.push(uint(1), int(inner.value), uint(0), uint(0))
    return [Buffer.concat(parts), ...(inner.defined ? [] : this.#definition(innerType, inner.value))]
  }
}

// Inside an interface value each definition is followed by the length of everything behind it.
function nest(definitions: Buffer[], rest: Buffer): Buffer[] {
  return definitions.reduceRight<Buffer[]>(
    (behind, definition) => {
      const tail = Buffer.concat(behind)
      return [definition, uint(tail.length), tail]
    },
    [rest]
  )
}

function basicId(type: string): number | undefined {
  if (type === 'interface {}') return INTERFACE
  if (type === 'bool') return BOOL
  if (type === 'string') return STRING
  if (type === BYTES_NAME) return BYTES
  if (type === 'float32' || type === 'float64') return FLOAT
  if (type === 'uintptr') return UINT
  return isInteger(type) ? (type.startsWith('u') ? UINT : INT) : undefined
}

function uint(value: number | bigint): Buffer {
  let rest = BigInt(value)
  if (rest <= 0x7fn) return Buffer.from([Number(rest)])
  const digits: number[] = []
  for (; rest > 0n; rest >>= 8n) digits.unshift(Number(rest & 0xffn))
  return Buffer.from([0x100 - digits.length, ...digits])
}

function int(value: number | bigint): Buffer {
  const big = BigInt(value)
  return uint(big < 0n ? (~big << 1n) | 1n : big << 1n)
}

function float(value: number): Buffer {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value, false)
  return uint(view.getBigUint64(0, true))
}

function text(value: string): Buffer {
  return bytes(Buffer.from(value))
}

function bytes(value: Uint8Array): Buffer {
  return Buffer.concat([uint(value.length), value])
}

function delimited(parts: Buffer[]): Buffer {
  return bytes(Buffer.concat(parts))
}

function timeBytes(date: Date): Buffer {
  const out = Buffer.alloc(15)
  const ms = date.valueOf()
  const seconds = Math.floor(ms / 1000)
  out[0] = 1
  out.writeBigInt64BE(BigInt(seconds) + UNIX_EPOCH, 1)
  out.writeInt32BE((ms - seconds * 1000) * 1e6, 9)
  // -1 minutes from UTC is how Go marks UTC itself.
  out.writeInt16BE(-1, 13)
  return out
}
