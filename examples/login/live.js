'use strict'

const { infoOf } = require('silverback')

/** Event streams (SSE) do not count as use of a session: a tab left open must not keep it alive. */
const isStream = (req) => req.get('accept') === 'text/event-stream'

/** Begins a stream that ends when its visitor goes, or the session does. */
function openStream(req, res) {
  // Whoever has left by now would never be heard to leave.
  if (res.closed) return
  res.set({ 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' })
  res.write('retry: 2000\n\n')
  const { signal } = infoOf(req.session)
  // The browser asks again at once, with the cookies that it has by then, and is told why (or goes on after a rotation).
  const ended = () => res.end('retry: 50\n\n')
  signal.addEventListener('abort', ended)
  const alive = setInterval(() => res.write(':\n\n'), 25_000)
  res.on('close', () => {
    clearInterval(alive)
    signal.removeEventListener('abort', ended)
  })
}

function sendEvent(res, event, data) {
  if (res.writableEnded) return
  const lines = String(data).split('\n')
  res.write(`event: ${event}\n${lines.map((line) => `data: ${line}\n`).join('')}\n`)
}

/** `GET /live`: open for as long as the visitor is signed in; the event `ended` says that this is over, and why. */
function watchSession(endings) {
  return async (req, res) => {
    if (req.user) return openStream(req, res)
    const reason = (await endings.reasonFor(req)) ?? 'You have signed out.'
    res.set('Content-Type', 'text/event-stream')
    sendEvent(res, 'ended', reason)
    res.end()
  }
}

module.exports = { isStream, openStream, sendEvent, watchSession }
