import { isHttp1, type HeldResponse } from './commit-hook'
import { HEADER_VERBS, HELD, PropertyPatch } from './pretend-sent'

/**
 * Offers a failed commit to a plain node:http application, express-session's way: from `offer` on, the response can be
 * taken over by touching it; if nobody does, the caller lets the handler's own response go.
 *
 * Such applications look at `_header` to tell whether they still can answer, so it says "sent" until they try.
 * @returns what ends the offer and tells whether the response was taken over. `takeOver` is called as soon as it is
 */
export function offerTakeOver(
  res: HeldResponse,
  takeOver: () => void,
  offer: (touch: () => void) => void
): () => boolean {
  const { statusCode, _header: header } = res
  const patch = new PropertyPatch(res)
  let taken = false
  let isLater = false
  const restore = () => {
    patch.lift()
    if (res._header === HELD) res._header = header!
  }
  const touch = () => {
    if (taken) return
    taken = true
    restore()
    takeOver()
  }
  for (const name of HEADER_VERBS) {
    patch.putMethod(name, (...args) => {
      touch()
      return Reflect.apply(res[name as 'setHeader'], res, args)
    })
  }
  // finalhandler asks once, and may answer when the request has been read to its end.
  patch.put('headersSent', { get: () => (isLater && touch(), false) })
  if (isHttp1(res) && !header) res._header = HELD
  offer(touch)
  isLater = true
  return () => {
    if (taken) return true
    restore()
    const chosen = res.statusCode
    if (chosen === statusCode) return false
    // It has begun with the status, and goes on later.
    takeOver()
    res.statusCode = chosen
    return true
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
