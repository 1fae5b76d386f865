import net from 'node:net'
import { unavailable } from '../../base/errors'

/** A reply of one line, and the value that came with it. */
export interface Reply {
  readonly line: string
  readonly value?: Buffer
  readonly cas?: string
}

interface Waiting {
  /** The key of a `gets`: no other value is taken. */
  readonly key: string | undefined
  resolve(reply: Reply): void
  reject(err: unknown): void
}

const END = Buffer.from('\r\n')
// VALUE <key> <flags> <bytes> <cas>, the value, and END behind it.
const VALUE = /^VALUE (\S+) \d+ (\d{1,10}) (\d+)$/
// Each is the whole answer to a command of ours. What follows another error may belong to it, or not.
const ANSWER = /^(?:END|STORED|NOT_STORED|EXISTS|NOT_FOUND|DELETED|SERVER_ERROR .*)$/

/**
 * One connection to one memcached, in its text protocol, for values that are no text: the client `memcached` gives
 * every value as UTF-8. It is made when a command needs it, and again after it was lost; it keeps no process alive.
 * A connection that answers what it was not asked is out of step, and is given up: an answer may be somebody else's.
 */
export class MemcachedWire {
  #socket: net.Socket | undefined
  #waiting: Waiting[] = []
  #received: Buffer = Buffer.alloc(0)
  #found: { value: Buffer; cas: string } | undefined

  constructor(
    private readonly host: string,
    private readonly port: number
  ) {}

  command(line: string, value?: Buffer): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const socket = this.#connected()
      this.#waiting.push({ key: /^gets (.*)/.exec(line)?.[1], resolve, reject })
      socket.ref()
      socket.write(value === undefined ? `${line}\r\n` : Buffer.concat([Buffer.from(`${line}\r\n`), value, END]))
    })
  }

  #connected(): net.Socket {
    if (this.#socket !== undefined) return this.#socket
    const socket = net.connect(this.port, this.host)
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.#receive(socket, chunk))
    socket.on('error', (err) => this.#lost(socket, err))
    socket.on('close', () => this.#lost(socket, undefined))
    this.#socket = socket
    return socket
  }

  #lost(socket: net.Socket, cause: unknown, message = 'The connection to memcached was lost.'): void {
    if (this.#socket !== socket) return
    this.#socket = undefined
    this.#received = Buffer.alloc(0)
    this.#found = undefined
    const err = unavailable(message, cause)
    for (const { reject } of this.#waiting.splice(0)) reject(err)
    socket.destroy()
  }

  #receive(socket: net.Socket, chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    for (let end; (end = this.#received.indexOf(END)) !== -1;) {
      const line = this.#received.toString('latin1', 0, end)
      const { key } = this.#waiting[0] ?? {}
      const [, named, length, cas] = VALUE.exec(line) ?? []
      if (named !== undefined && named === key && this.#found === undefined) {
        const from = end + END.length
        const until = from + Number(length)
        if (this.#received.length < until + END.length) return
        if (!this.#received.subarray(until, until + END.length).equals(END)) return this.#outOfStep(socket)
        this.#found = { value: Buffer.from(this.#received.subarray(from, until)), cas: cas! }
        this.#received = this.#received.subarray(until + END.length)
        continue
      }
      const isAnswer = ANSWER.test(line) && (this.#found === undefined || line === 'END')
      const waiting = isAnswer ? this.#waiting.shift() : undefined
      if (waiting === undefined) return this.#outOfStep(socket)
      this.#received = this.#received.subarray(end + END.length)
      if (this.#waiting.length === 0) socket.unref()
      waiting.resolve({ line, ...this.#found })
      this.#found = undefined
    }
  }

  #outOfStep(socket: net.Socket): void {
    this.#lost(socket, undefined, 'memcached answered something else than it was asked.')
  }
}
