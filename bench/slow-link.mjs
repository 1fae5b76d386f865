// A way to Redis that counts the commands on it, and on which answers can be made to come late.
import { once } from 'node:events'
import net from 'node:net'

const COMMAND = /\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n/g

export class SlowLink {
  /** ms by which every answer comes late. */
  late = 0
  /** Names of the commands sent. */
  sent = []
  #server
  #far

  constructor(port) {
    this.#far = port
    this.#server = net.createServer((near) => this.#connect(near))
  }

  /** The port to connect to. */
  async open() {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return this.#server.address().port
  }

  close() {
    this.#server.close()
  }

  #connect(near) {
    const far = net.connect(this.#far, '127.0.0.1')
    near.on('data', (chunk) => {
      for (const [, name] of chunk.toString('latin1').matchAll(COMMAND)) this.sent.push(name.toUpperCase())
      far.write(chunk)
    })
    far.on('data', (chunk) => (this.late > 0 ? setTimeout(() => near.write(chunk), this.late) : near.write(chunk)))
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
    for (const socket of [near, far]) socket.on('error', () => socket.destroy())
  }
}
