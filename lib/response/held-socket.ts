const DESTROY = Symbol('silverback.destroy')
const HELD = Symbol('silverback.held')

/**
 * Keeps a connection open until the ended response that is held back has been sent.
 *
 * A second `res.send` is an error, and Express's answer to an error that comes after the response is to destroy the
 * socket. Without a session the response would be on its way by then; so it goes first here, too.
 */
export function holdSocket(res: any): void {
  const { socket } = res
  if (typeof socket?.destroy !== 'function') return
  if (socket[DESTROY] === undefined) {
    socket[DESTROY] = socket.destroy
    // For the life of the connection: to take it off again would slow every later use of the socket.
    Object.defineProperty(socket, 'destroy', { configurable: true, writable: true, value: destroy })
  }
  socket[HELD] = res
}

/** The response goes out: whoever destroys the socket from now on does so at once. */
export function releaseSocket(res: any): void {
  if (res.socket?.[HELD] === res) res.socket[HELD] = undefined
}

function destroy(this: any, err?: unknown): any {
  const res = this[HELD]
  // For a reason of its own, or because the client has gone: nothing is worth waiting for.
  if (res === undefined || err || !this.writable || res.destroyed || res.req?.aborted) return this[DESTROY](err)
  res.once('finish', () => this.destroy())
  return this
}
