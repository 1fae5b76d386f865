import net from 'node:net'
import { unavailable } from '../../base/errors'

/** A reply of one line, and the value that came with it. */
export interface Reply {
  readonly line: string
  readonly value?: Buffer
  readonly cas?: string
}

interface Waiting {
  resolve(reply: Reply): void
  reject(err: unknown): void
}

const END = Buffer.from('\r\n')

/**
 * One connection to one memcached, in its text protocol, for values that are no text: the client `memcached` gives
 * every value as UTF-8. It is made when a command needs it, and again after it was lost; it keeps no process alive.
 */
export class MemcachedWire {
  readonly #host: string
  readonly #port: number
  #socket: net.Socket | undefined
  #waiting: Waiting[] = []
  #received: Buffer = Buffer.alloc(0)
  #found: { value: Buffer; cas: string } | undefined

  constructor(host: string, port: number) {
    this.#host = host
    this.#port = port
  }

  command(line: string, value?: Buffer): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const socket = this.#connected()
      this.#waiting.push({ resolve, reject })
      socket.ref()
      socket.write(value === undefined ? `${line}\r\n` : Buffer.concat([Buffer.from(`${line}\r\n`), value, END]))
    })
  }

  #connected(): net.Socket {
    if (this.#socket !== undefined) return this.#socket
    const socket = net.connect(this.#port, this.#host)
    socket.setNoDelay(true)
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('error', (err) => this.#lost(socket, err))
    socket.on('close', () => this.#lost(socket, undefined))
    this.#socket = socket
    return socket
  }

  #lost(socket: net.Socket, cause: unknown): void {
    if (this.#socket !== socket) return
    this.#socket = undefined
    this.#received = Buffer.alloc(0)
    this.#found = undefined
    const err = unavailable('The connection to memcached was lost.', cause)
    for (const { reject } of this.#waiting.splice(0)) reject(err)
    socket.destroy()
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    for (;;) {
      const end = this.#received.indexOf(END)
      if (end === -1) return
      const line = this.#received.toString('latin1', 0, end)
      // VALUE <key> <flags> <bytes> <cas>, the value, and END behind the last.
      if (line.startsWith('VALUE ')) {
        const [, , , length, cas = ''] = line.split(' ')
        const from = end + END.length
        const until = from + Number(length)
        if (this.#received.length < until + END.length) return
        this.#found = { value: Buffer.from(this.#received.subarray(from, until)), cas }
        this.#received = this.#received.subarray(until + END.length)
        continue
      }
      this.#received = this.#received.subarray(end + END.length)
      const waiting = this.#waiting.shift()
      if (this.#waiting.length === 0) this.#socket?.unref()
      waiting?.resolve({ line, ...this.#found })
      this.#found = undefined
    }
  }
}
