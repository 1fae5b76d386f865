import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** What to send instead of the reply to a read, or a PING; `undefined`: nothing. */
export type Disturb = (reply: Buffer, socket: Socket) => Buffer | undefined

/** Something that speaks as much of Redis's protocol as the store needs, rightly until it is told otherwise. */
export class BrokenRedis {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #kept = new Map<string, string>()
  /** How many reads came in while it was disturbed. */
  disturbed = 0
  disturb: Disturb | undefined

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      let input = Buffer.alloc(0)
      socket.on('error', () => undefined)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('data', (chunk) => {
        input = Buffer.concat([input, chunk])
        for (let parsed = parse(input); parsed !== undefined; parsed = parse(input)) {
          input = input.subarray(parsed.length)
          this.#answer(parsed.args, socket)
        }
      })
    })
  }

  static async start(): Promise<BrokenRedis> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new BrokenRedis(server)
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Ends all connections, so that clients begin anew. */
  drop(): void {
    this.#sockets.forEach((socket) => socket.destroy())
  }

  stop(): void {
    this.drop()
    this.#server.close()
  }

  #answer([name, ...args]: string[], socket: Socket): void {
    const reply = this.#replyTo(name!.toUpperCase(), args)
    const isRead = ['GET', 'MGET', 'EVALSHA', 'PING'].includes(name!.toUpperCase())
    if (isRead && this.disturb !== undefined) {
      this.disturbed++
      const other = this.disturb(reply, socket)
      if (other !== undefined) socket.write(other)
    } else {
      socket.write(reply)
    }
  }

  // A script is only ever asked to read here.
  #replyTo(name: string, args: string[]): Buffer {
    if (name === 'HELLO') return Buffer.from('%1\r\n$5\r\nproto\r\n:3\r\n')
    if (name === 'INFO') return bulk('redis_version:7.0.0\r\nloading:0\r\n')
    if (name === 'PING') return Buffer.from('+PONG\r\n')
    if (name === 'GET') return bulk(this.#kept.get(args[0]!))
    if (name === 'MGET') {
      const texts = args.map((key) => bulk(this.#kept.get(key)))
      return Buffer.concat([Buffer.from(`*${texts.length}\r\n`), ...texts])
    }
    if (name === 'EVALSHA') return bulk(this.#kept.get(args[2]!))
    if (name === 'SET') this.#kept.set(args[0]!, args[1]!)
    if (name === 'DEL') return Buffer.from(`:${Number(this.#kept.delete(args[0]!))}\r\n`)
    return Buffer.from('+OK\r\n')
  }
}

function bulk(text: string | undefined): Buffer {
  return Buffer.from(text === undefined ? '$-1\r\n' : `$${Buffer.byteLength(text)}\r\n${text}\r\n`)
}

/** The first command of what a client sent; `undefined` when it is not there as a whole. */
function parse(input: Buffer): { args: string[]; length: number } | undefined {
  let at = 0
  const line = (): string | undefined => {
    const end = input.indexOf('\r\n', at)
    if (end === -1) return undefined
    const text = input.toString('latin1', at + 1, end)
    at = end + 2
    return text
  }
  const count = line()
  if (count === undefined) return undefined
  const args: string[] = []
  for (let i = 0; i < Number(count); i++) {
    const size = line()
    if (size === undefined || at + Number(size) + 2 > input.length) return undefined
    args.push(input.toString('utf8', at, at + Number(size)))
    at += Number(size) + 2
  }
  return { args, length: at }
}
