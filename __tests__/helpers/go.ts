import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { GoNode } from '../../lib/gorilla/codec/nodes'

/** A value in the place of an interface, as the Go program spells it; `null` is nil. */
export type Tagged = { t: string; v: any } | null

export interface Answer {
  cookie?: string
  error?: string
  values?: [Tagged, Tagged][]
  flashes?: unknown[]
  kinds?: string[]
  differs?: string[]
  id?: string
}

/** gorilla/sessions itself, in a process of its own. */
export class GoPeer {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'silverback-go-'))
  readonly #process: ChildProcess
  readonly #waiting: ((answer: Answer) => void)[] = []

  constructor() {
    const binary = path.join(this.#folder, 'peer')
    const env = { ...process.env, GO111MODULE: 'off', GOPATH: '/usr/share/gocode', GOFLAGS: '' }
    try {
      execFileSync('go', ['build', '-o', binary, '.'], {
        cwd: path.join(__dirname, '../fixtures/gorilla'),
        env,
        stdio: 'pipe'
      })
    } catch (cause) {
      rmSync(this.#folder, { recursive: true, force: true })
      throw new Error(
        'These tests need Go and gorilla/sessions: apt-get install golang golang-github-gorilla-sessions-dev ' +
          'golang-github-boj-redistore-dev',
        { cause }
      )
    }
    this.#process = spawn(binary, { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.#process.stdout! }).on('line', (line) => this.#waiting.shift()!(JSON.parse(line)))
  }

  ask(request: Record<string, unknown>): Promise<Answer> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#process.stdin!.write(`${JSON.stringify(request)}\n`)
    })
  }

  stop(): void {
    this.#process.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** The keys of a Go store: hash and block key of each pair in turn. */
export function goKeys(...pairs: (readonly [Buffer, Buffer?])[]): (string | null)[] {
  return pairs.flatMap(([hash, block]) => [hash.toString('base64'), block?.toString('base64') ?? null])
}

/** A node as the Go program spells what is in the place of an interface. */
export function tagged(node: GoNode): Tagged {
  return node.type.kind === 'interface' ? null : { t: node.type.name, v: plain(node) }
}

function plain({ type, value }: GoNode): unknown {
  const place = (inner: GoNode, at: { kind: string }) => (at.kind === 'interface' ? tagged(inner) : plain(inner))
  if (type.kind === 'slice') return (value as GoNode[]).map((item) => place(item, type.elem!))
  if (type.kind === 'map') {
    return (value as [GoNode, GoNode][]).map(([key, item]) => [place(key, type.key!), place(item, type.elem!)])
  }
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return floatText(value)
  return Buffer.isBuffer(value) ? value.toString('base64') : value
}

/** The bits of a float64; every NaN is one. */
export function floatText(value: number): string {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return bytes.toString('hex')
}

/** The same with every map in one order, whatever Go's maps had. */
export function ordered(value: any): any {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  const v = ordered(value.v)
  return { t: value.t, v: value.t.startsWith('map[') ? sortPairs(v) : sortDeep(value.t, v) }
}

export function sortPairs(pairs: any[]): any[] {
  return [...pairs].sort((a, b) => (JSON.stringify(a[0]) < JSON.stringify(b[0]) ? -1 : 1))
}

// A slice of maps: the maps inside have no tags of their own.
function sortDeep(type: string, v: any): any {
  return type.startsWith('[]map[') ? v.map(sortPairs) : v
}
