import type { Socket } from 'node:net'
import { isHttp1, type HeldResponse } from './commit-hook'

const DESTROY = Symbol('silverback.destroy')
const END = Symbol('silverback.end')
const DEFER = Symbol('silverback.defer')

/** Takes what is to be done once the response has been sent; answers false to have it done at once. */
type Defer = (action: () => void) => boolean

interface PatchedSocket extends Socket {
  [DESTROY]?: Socket['destroy']
  [END]?: Socket['end']
  [DEFER]?: Defer | undefined
}

/**
 * Keeps the connection of a response of node:http open until what is held back of it has been sent.
 *
 * A second `res.send` is an error, and Express's answer to an error that comes after the response is to destroy the
 * socket; other applications half-close it when they have answered, and Node does when a client has (`nc` has sent all
 * that it will send with its request). Without a session the response would be on its way by then; so it goes first
 * here, too.
 */
export function delayClose(res: HeldResponse, defer: Defer): void {
  const socket: PatchedSocket | null | undefined = res.socket
  if (!isHttp1(res) || typeof socket?.destroy !== 'function') return
  if (socket[DESTROY] === undefined) {
    socket[DESTROY] = socket.destroy
    socket[END] = socket.end
    // For the life of the connection: to take them off again would slow every later use of the socket.
    socket.destroy = destroy
    socket.end = end
  }
  socket[DEFER] = defer
}

/** The response goes out: what is asked of the socket from now on is done at once. */
export function allowClose(res: HeldResponse): void {
  const socket: PatchedSocket | null | undefined = res.socket
  if (socket?.[DEFER] !== undefined) socket[DEFER] = undefined
}

function destroy(this: PatchedSocket, err?: Error): PatchedSocket {
  // For a reason of its own, or because the client has gone: nothing is worth waiting for.
  if (!err && this.writable && this[DEFER]?.(() => this.destroy()) === true) return this
  return this[DESTROY]!(err)
}

function end(this: PatchedSocket, ...args: unknown[]): PatchedSocket {
  if (this.writable && this[DEFER]?.(() => void Reflect.apply(this.end, this, args)) === true) return this
  return Reflect.apply(this[END]!, this, args) as PatchedSocket
}
