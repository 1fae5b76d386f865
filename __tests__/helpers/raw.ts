import http from 'node:http'
import net from 'node:net'
import type { AddressInfo } from 'node:net'

type Listener = http.RequestListener

/** Serves a listener for the time of one call. */
export async function serving<T>(listener: Listener, use: (port: number) => Promise<T>): Promise<T> {
  const server = http.createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await use((server.address() as AddressInfo).port)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

/** Everything the server sends in answer to one request, byte for byte; `onData` sees the chunks as they come. */
export function exchange(port: number, request: string, onData?: (chunk: Buffer) => void): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = net.connect(port, '127.0.0.1', () => socket.write(request))
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      onData?.(chunk)
    })
    socket.on('end', () => resolve(Buffer.concat(chunks)))
    socket.on('error', reject)
  })
}

/** A request text that asks the server to close the connection after its answer. */
export function get(path: string, headers: Record<string, string> = {}, method = 'GET'): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${lines.join('')}\r\n`
}

/** The same answer without what differs from run to run or is ours to add. */
export function withoutSession(answer: Buffer): string {
  return sameChunks(answer.toString('latin1').replace(/^(date|set-cookie|cache-control|vary): .*\r\n/gim, ''))
}

const ONE_CHUNK_A_TURN = Number(process.versions.node.split('.')[0]) >= 26

/**
 * An answer (latin1) with its body in one chunk, on Node 26 and later: what is written in one turn leaves there as one
 * chunk, so bounds say in which turn bytes were let go, and a store that answers in a later turn moves them. Before
 * that each write is a chunk, and the bounds must be the same.
 */
export function sameChunks(answer: string): string {
  const [head, ...rest] = answer.split('\r\n\r\n')
  if (!ONE_CHUNK_A_TURN || !/^transfer-encoding: chunked$/im.test(head!)) return answer
  const body = rest.join('\r\n\r\n')
  let text = ''
  let at = 0
  for (;;) {
    const line = /^([0-9a-f]+)\r\n/i.exec(body.slice(at, at + 20))
    if (line === null) return answer
    const size = parseInt(line[1]!, 16)
    at += line[0].length
    if (size === 0) break
    text += body.slice(at, at + size)
    at += size + 2
  }
  return `${head}\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n${body.slice(at)}`
}
