import { SessionError } from '../../base/errors'
import type { Answer, Connection } from '../../base/http'
import type { Milliseconds } from '../../base/time'
import { isForwarding } from '../../store/record-cache'
import { recordOf } from '../load'
import type { Handle } from '../handle'

/** How often the store is asked whether a watched session still lives: half of what `signal` promises. */
const POLL: Milliseconds = 500

/**
 * A signal that fires when a session is destroyed, revoked, given another ID or expires: at once in this process, within
 * a second when it happens in another. The timers do not keep the process alive; asking the store does not extend the
 * session. The watch ends with the response (where there is none, or an upgrade, with the connection), or with `until`.
 */
export function watch(handle: Handle): AbortSignal {
  const { engine, settings, req, id } = handle
  const { port, tokens } = settings
  const { until } = handle.openOptions
  const controller = new AbortController()
  // A connection that is kept alive outlasts the response by many requests; what only stands in for one has no end.
  const answer = handle.response?.res
  const hasNoEnd = handle.response !== undefined && typeof answer?.once !== 'function'
  const watched: Answer | null | undefined = req.headers?.upgrade !== undefined || hasNoEnd ? req.socket : answer
  if (until?.aborted || (watched && isOver(watched))) return controller.signal
  let asking = false

  const stop = () => {
    clearInterval(timer)
    until?.removeEventListener('abort', stop)
    watched?.removeListener?.('close', stop)
    const watching = engine.watchers.get(id)
    watching?.delete(fire)
    if (watching?.size === 0) engine.watchers.delete(id)
  }
  const fire = () => {
    stop()
    controller.abort(new SessionError('ERR_SESSION_DESTROYED', 'The session has ended.'))
  }
  const poll = async () => {
    const { snapshot, status, latest } = handle
    if (status === 'gone' || status === 'ended' || handle.id !== id) return fire()
    if (asking || snapshot.version === null) return
    asking = true
    try {
      if (tokens.selfContained) {
        // What a cookie carries cannot be read here; whether it was destroyed can be asked.
        if (!(await port.extend(port.keyOf(id), { usedAt: snapshot.usedAt, expiresAt: null }))) fire()
        return
      }
      const found = await port.read(snapshot.storeId)
      // A store that could not be asked says nothing; one that answers "absent", or names another ID, is believed.
      if (found === null || isForwarding(found)) return fire()
      const usedAt = found.usedAt ?? recordOf(found)?.meta?.u
      // Without a time of its last use the store alone knows its end, and has it still.
      if (usedAt === undefined) return
      // Which may have been written meanwhile.
      handle.snapshot = { ...handle.snapshot, usedAt: Math.max(usedAt, handle.snapshot.usedAt) }
      const end = latest === undefined ? null : handle.endOf(latest)
      if (end !== null && end <= Date.now() && port.native) fire()
    } catch {
      // The next poll asks again; the store's faults are reported by the requests that need it.
    } finally {
      asking = false
    }
  }
  const timer = setInterval(() => void poll(), POLL)
  timer.unref()
  until?.addEventListener('abort', stop)
  watched?.once?.('close', stop)
  let watching = engine.watchers.get(id)
  if (watching === undefined) engine.watchers.set(id, (watching = new Set()))
  watching.add(fire)
  return controller.signal
}

function isOver({ destroyed, writableFinished, stream }: Answer): boolean {
  return (destroyed ?? (stream as Connection | null)?.destroyed) === true || writableFinished === true
}
