import { Cover, HEADER_VERBS, HELD, isHttp1 } from './response-lock'

/**
 * Offers a failed commit to a plain node:http application, express-session's way: while `offer` runs, the response
 * can be taken over by touching it; if nobody does, the caller lets the handler's own response go.
 *
 * Such applications look at `_header` to tell whether they still can answer, so it says "sent" until they try.
 * @returns whether the response was taken over. `takeOver` is called as soon as it is
 */
export function offerTakeOver(res: any, takeOver: () => void, offer: (touch: () => void) => void): boolean {
  const { statusCode } = res
  const cover = new Cover(res)
  let taken = false
  const restore = () => {
    cover.lift()
    if (res._header === HELD) res._header = null
  }
  const touch = () => {
    if (taken) return
    taken = true
    restore()
    takeOver()
  }
  for (const name of HEADER_VERBS) {
    if (typeof res[name] !== 'function') continue
    const value = (...args: unknown[]) => {
      touch()
      return res[name](...args)
    }
    cover.put(name, { value })
  }
  cover.put('headersSent', { get: () => false })
  if (isHttp1(res) && res._header === null) res._header = HELD
  offer(touch)
  if (taken) return true
  restore()
  const chosen = res.statusCode
  if (chosen === statusCode) return false
  // It has begun with the status, and goes on later.
  takeOver()
  res.statusCode = chosen
  return true
}
