// A span for each operation on the store, within the span that is active: that of the request, as a rule.
// npm i @opentelemetry/api, and an SDK that is set up before this file is loaded
const { tracingChannel } = require('node:diagnostics_channel')
const express = require('express')
const { SpanKind, SpanStatusCode, trace } = require('@opentelemetry/api')
const { sessions } = require('silverback')

const tracer = trace.getTracer('silverback')
const spans = new WeakMap()

function end(message) {
  spans.get(message)?.end()
  spans.delete(message)
}

tracingChannel('silverback:store').subscribe({
  start(message) {
    const attributes = { 'silverback.store': message.store, 'silverback.operation': message.operation }
    spans.set(message, tracer.startSpan(`session ${message.operation}`, { kind: SpanKind.CLIENT, attributes }))
  },
  // The code alone: messages of some clients quote what they were sent.
  error(message) {
    const code = message.error?.code ?? 'unknown'
    spans.get(message)?.setStatus({ code: SpanStatusCode.ERROR }).setAttribute('error.type', String(code))
  },
  // What is answered at once has its duration here, and no asyncEnd.
  end(message) {
    if (message.duration !== undefined) end(message)
  },
  asyncEnd: end
})

const app = express()
app.use(sessions({ secret: process.env.SESSION_SECRET }))

app.get('/', (req, res) => {
  req.session.views = (req.session.views ?? 0) + 1
  res.json({ views: req.session.views })
})

module.exports = { app }
if (require.main === module) app.listen(process.env.PORT ?? 3000)
