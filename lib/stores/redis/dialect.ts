import { unavailable } from '../../base/errors'
import type { Milliseconds } from '../../base/time'

/** `down`: not connected now; `closed`: nobody is trying to connect. */
export type Health = 'ready' | 'down' | 'closed'

/** A script for one key, and how many replicas must have its effect within which time. */
export interface EvalAndWait {
  readonly source: string
  readonly key: string
  readonly args: string[]
  readonly replicas: number
  readonly timeout: Milliseconds
}

/** The few commands the store needs, alike for every client. Replies come as the client gives them. */
export interface Dialect {
  /** Whether one command may name several keys: not those of a cluster, and not past a cache of the client's own. */
  readonly gathers: boolean
  /** The commands of one turn of the event loop leave in one piece: to gather them spares the client little. */
  readonly pipelines?: boolean
  /** What the client itself puts in front of every key. */
  keyPrefix(): string
  health(): Health
  /** Something that stands for the server that keeps a key, as far as the client tells servers apart. */
  nodeOf(key: string): unknown
  get(key: string): Promise<unknown>
  mget(keys: string[]): Promise<unknown[]>
  /** Where `expected` is given, only over that: `null` is nothing; texts only some servers compare. `null` if refused. */
  set(key: string, value: string, life: Milliseconds | null, expected?: string | null): Promise<unknown>
  del(key: string): Promise<unknown>
  /**
   * Runs a script, then waits for replicas, on one connection: its reply, and how many replicas have confirmed it.
   * @param asked the node of a cluster (`host:port`) that a slot is being moved to
   */
  evalAndWait?(script: EvalAndWait, asked?: string): Promise<unknown[]>
  expire(key: string, seconds: number): Promise<unknown>
  /** Runs a script: its source, or with `evalsha` the hash of one that the server knows. */
  script(command: 'eval' | 'evalsha', script: string, keys: string[], args: string[]): Promise<unknown>
  /** Everything that answers SCAN: the masters of a cluster, else the client itself. */
  scanners(): Promise<Scanner[]>
}

/** One step of SCAN: the next cursor and some keys. */
export type Scanner = (cursor: string, pattern: string, count: number) => Promise<[cursor: unknown, keys: unknown[]]>

/** A reply as text: clients may be set to answer bytes. */
export function textOf(reply: unknown): string | null {
  if (typeof reply === 'string') return reply
  return reply instanceof Uint8Array ? Buffer.from(reply).toString() : null
}

/** A reply of so many parts; a connection out of step may hand out another one. @throws {SessionError} */
export function listOf(reply: unknown, length: number): unknown[] {
  if (Array.isArray(reply) && reply.length === length) return reply
  throw unavailable('Redis answered something else than it was asked')
}
