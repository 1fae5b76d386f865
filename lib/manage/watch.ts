import type { Engine } from '../engine/engine'
import { SessionError } from '../base/errors'
import { deadline } from '../lifecycle/lifetime'
import type { Slot } from '../lifecycle/slot'
import { storedIdOf } from '../lifecycle/tracked'
import type { Milliseconds } from '../base/time'

/** How often the store is asked whether a watched session still lives: half of what `session.signal` promises. */
const POLL: Milliseconds = 500

/** Options of `auth.open()`. */
export interface OpenOptions {
  /** Ends the watch, as the end of the connection does; for what outlives the request that it began with. */
  until?: AbortSignal | undefined
}

/**
 * A signal that fires when a session is destroyed, revoked or expires: at once in this process, within a second when
 * it happens in another. The timers do not keep the process alive; asking the store does not extend the session. The
 * watch ends with the connection, if the request is an upgrade, or with `until`.
 */
export function watch(engine: Engine, slot: Slot, { until }: OpenOptions): AbortSignal {
  const controller = new AbortController()
  const { req } = slot
  const { backend } = slot.settings
  const { id } = slot.tracked!
  const socket = req.headers?.upgrade === undefined ? undefined : req.socket
  if (until?.aborted || socket?.destroyed) return controller.signal
  let asking = false

  const stop = () => {
    clearInterval(timer)
    until?.removeEventListener('abort', stop)
    socket?.removeListener?.('close', stop)
    const watching = engine.watchers.get(id)
    watching?.delete(fire)
    if (watching?.size === 0) engine.watchers.delete(id)
  }
  const fire = () => {
    stop()
    controller.abort(new SessionError('ERR_SESSION_DESTROYED', 'The session has ended.'))
  }
  const poll = async () => {
    const tracked = slot.tracked!
    if (tracked.dead) return fire()
    if (asking || tracked.kept === null) return
    asking = true
    try {
      if (backend.carrier !== undefined) {
        // What a cookie carries cannot be read here; whether it was destroyed can be asked.
        if (!(await backend.extend(tracked.id, { usedAt: tracked.usedAt, expiresAt: null }))) fire()
        return
      }
      const found = await backend.read(storedIdOf(slot.settings, tracked))
      // A store that could not be asked says nothing; one that answers "absent" is believed.
      if (found === null) return fire()
      const end = deadline(slot.settings, tracked.session.cookie, tracked.createdAt, found?.usedAt ?? tracked.usedAt)
      if (end !== null && end <= Date.now() && backend.native) fire()
    } catch {
      // The next poll asks again; the store's faults are reported by the requests that need it.
    } finally {
      asking = false
    }
  }
  const timer = setInterval(() => void poll(), POLL)
  timer.unref()
  until?.addEventListener('abort', stop)
  socket?.once?.('close', stop)
  let watching = engine.watchers.get(id)
  if (watching === undefined) engine.watchers.set(id, (watching = new Set()))
  watching.add(fire)
  return controller.signal
}
