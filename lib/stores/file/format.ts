/**
 * The file of one session: a line of JSON about it, then the session's text.
 *
 *     {"v":1,"id":"Xy..","span":86400000,"until":null,"bytes":57,"tag":"1f0c..-7"}
 *     {"cookie":{...},"a":1}
 *
 * The time of last use is the file's mtime, so that extending a session is one `utimes`.
 */
import { randomBytes } from 'node:crypto'
import { hashOf as digest } from '../../base/hash'
import type { Life } from '../../store/contract'
import type { Milliseconds } from '../../base/time'
import type { Folder } from './folder'
import { Versions } from './versions'

export interface Header {
  v: 1
  /** The session ID: the file's name is only its hash. */
  id: string
  /** From last use to expiry; `null`: no such limit. */
  span: Milliseconds | null
  /** Expires then at the latest; `null`: no such limit. */
  until: Milliseconds | null
  user?: string
  /** Length of the text: a file cut short is not a session. */
  bytes: number
  /** Of this very content of the file: no other ever has it. Files of 1.20.0 have none. */
  tag?: string
}

/** What limits a session's life, as the header keeps it. */
export type Limits = Pick<Header, 'span' | 'until'>

const NEWLINE = 0x0a
/** What may be part of a file's name. */
const TAG = /^[0-9a-z-]{1,64}$/

/** What is to be written, but for its tag. */
export interface Draft extends Limits, Pick<Header, 'id' | 'user'> {
  body: string
  usedAt: Milliseconds
}

function encodeFile({ id, span, until, user, body }: Draft, tag: string): string {
  const header: Header = { v: 1, id, span, until, bytes: Buffer.byteLength(body), tag }
  if (user !== undefined) header.user = user
  return `${JSON.stringify(header)}\n${body}`
}

/** `undefined` for whatever is not a whole file of ours. */
export function decodeFile(bytes: Buffer): { header: Header; body: string } | undefined {
  const end = bytes.indexOf(NEWLINE)
  if (end === -1 || bytes[0] !== 0x7b /* { */) return undefined
  let header: unknown
  try {
    header = JSON.parse(bytes.toString('utf8', 0, end))
  } catch {
    return undefined
  }
  if (!isHeader(header) || header.bytes !== bytes.length - end - 1) return undefined
  return { header, body: bytes.toString('utf8', end + 1) }
}

// What tells a content of a file from all others.
function tagOf(bytes: Buffer): string {
  const tag = decodeFile(bytes)?.header.tag
  return tag !== undefined && TAG.test(tag) ? tag : digest('sha256', bytes.toString('latin1'), 'hex')
}

/** The files of one kind of a FileStore. @param claims name of the folder for claims */
export function draftVersions(folder: Folder, claims: string, placeOf: (name: string) => string[]): Versions<Draft> {
  const self = randomBytes(8).toString('hex')
  let written = 0
  return new Versions(folder, {
    temps: { folder: ['temp'], named: /^/ },
    claims: { folder: [claims], named: /^([^.]*)\.?(.*)$/ },
    placeOf,
    claimOf: (name, tag) => [claims, `${name}.${tag}`],
    tempOf: (_name, tag) => ['temp', tag],
    tagOf,
    encode: (draft) => {
      const tag = `${self}-${(++written).toString(36)}`
      return { tag, content: encodeFile(draft, tag), mtime: draft.usedAt }
    }
  })
}

/** Limits of a life that has just been given. */
export function limitsOf({ usedAt, expiresAt }: Life): Limits {
  return { span: expiresAt === null ? null : expiresAt - usedAt, until: null }
}

/** When a session with these limits ends; `null`: never by itself. */
export function expiryOf({ span, until }: Limits, usedAt: Milliseconds): Milliseconds | null {
  const end = Math.min(span === null ? Infinity : usedAt + span, until ?? Infinity)
  return end === Infinity ? null : end
}

/**
 * Limits that give a new life, changed as little as possible: the same object when the time of last use alone does.
 *
 * Idle time moves with last use (`span`); once an absolute deadline comes first, it does not move any more (`until`).
 */
export function refit(limits: Limits, life: Life): Limits {
  const { usedAt, expiresAt } = life
  if (expiryOf(limits, usedAt) === expiresAt) return limits
  if (expiresAt === null) return { span: null, until: null }
  const idleEnd = limits.span === null ? Infinity : usedAt + limits.span
  return expiresAt < idleEnd ? { span: limits.span, until: expiresAt } : limitsOf(life)
}

function isHeader(value: unknown): value is Header {
  if (typeof value !== 'object' || value === null) return false
  const { v, id, span, until, user, bytes, tag } = value as Partial<Header>
  return (
    v === 1 &&
    typeof id === 'string' &&
    isLimit(span) &&
    isLimit(until) &&
    (user === undefined || typeof user === 'string') &&
    typeof bytes === 'number' &&
    (tag === undefined || typeof tag === 'string')
  )
}

function isLimit(value: unknown): boolean {
  return value === null || typeof value === 'number'
}
