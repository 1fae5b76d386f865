import { AsyncLocalStorage } from 'node:async_hooks'
import { isHttp1, type HeldResponse } from './commit-hook'
import { HEADER_VERBS, HELD, PropertyPatch } from './pretend-sent'
import { headersSentError } from './write-head'

/**
 * Offers a failed commit to a plain node:http application, express-session's way: from `offer` on, the response can be
 * taken over by touching it; if nobody does, the caller lets the handler's own response go. Asking `headersSent` on being
 * told is touching it. It stays sent for the handler: one that only asks must not lose what it has answered.
 *
 * Such applications look at `_header` to tell whether they still can answer, so it says "sent" until they try.
 * @param status of the page that is offered, for those who choose theirs by it
 * @returns what ends the offer and tells whether the response was taken over. `takeOver` is called as soon as it is
 */
export function offerTakeOver(
  res: HeldResponse,
  status: number,
  takeOver: () => void,
  offer: (touch: () => void) => void
): () => boolean {
  const { statusCode, _header: header } = res
  const reasonNow = () => (isHttp1(res) ? res.statusMessage : undefined)
  const reason = reasonNow()
  const patch = new PropertyPatch(res)
  const answering = new AsyncLocalStorage<boolean>()
  let taken = false
  let isLater = false
  const restore = () => {
    patch.lift()
    if (res._header === HELD) res._header = header!
  }
  const touch = () => {
    if (taken || !answering.getStore()) return
    taken = true
    restore()
    const chosen = reasonNow()
    takeOver()
    // The page may have said its own before it chose the status.
    if (chosen !== reason) res.statusMessage = chosen
  }
  for (const name of HEADER_VERBS) {
    patch.putMethod(name, (...args) => {
      if (!answering.getStore()) throw headersSentError(name === 'removeHeader' ? 'remove' : 'set')
      touch()
      return Reflect.apply(res[name as 'setHeader'], res, args)
    })
  }
  patch.put('statusCode', {
    get: () => (answering.getStore() ? status : statusCode),
    set: (chosen: number) => {
      if (!answering.getStore()) return
      touch()
      res.statusCode = chosen
    }
  })
  // Who asks on being told has yet to answer, and so has finalhandler, which answers once the request is read to its end.
  // restify asks on a later turn, and answers nothing.
  const ask = () => void ((!isLater || res.req?.complete === false) && touch())
  patch.put('headersSent', { get: () => !answering.getStore() || (ask(), false) })
  if (isHttp1(res) && !header) res._header = HELD
  answering.run(true, offer, touch)
  isLater = true
  return () => {
    answering.disable()
    if (!taken) restore()
    return taken
  }
}

/**
 * Passes by the middleware that wraps write() and end() behind us (compression, say): its end() has been called, so an
 * error page would get lost in it.
 * @returns what puts it back
 */
export function reclaimBody(res: HeldResponse, take: (verb: 'write' | 'end', args: unknown[]) => unknown): () => void {
  const theirs = { write: res.write, end: res.end }
  // Never asks to wait: that middleware may keep listeners for `drain` from the response.
  res.write = (...args) => (take('write', args), true)
  res.end = (...args) => take('end', args)
  return () => void Object.assign(res, theirs)
}
