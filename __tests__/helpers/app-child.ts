/** An application with sessions in a process of its own (see child.ts). */
import type { AddressInfo } from 'node:net'
import express from 'express'
import { createClient } from 'redis'
import { FileStore, sessions } from '../../lib/index'
import { RedisStore } from '../../lib/redis'

/** Starts it on a free port; `place` is a Redis URL or a folder. */
export async function start(place: string, secret: string): Promise<number> {
  const app = express()
  app.use(sessions({ secret, store: await storeAt(place) }))
  const held = new Map<string, () => void>()
  app.get('/set', (req, res) => {
    Object.assign(req.session, req.query)
    res.send('set')
  })
  app.get('/count', async (req, res) => {
    await (req.session as any).update((s: any) => (s.n = Number(s.n ?? 0) + 1))
    res.send('counted')
  })
  // Holds the session it has loaded until somebody lets it go on.
  app.get('/hold', async (req, res) => {
    void (req.session as any).user
    await new Promise<void>((resolve) => held.set('hold', resolve))
    ;(req.session as any).late = 1
    res.send('held')
  })
  app.get('/holding', (_req, res) => void res.json(held.has('hold')))
  app.get('/release', (_req, res) => {
    held.get('hold')!()
    res.send('released')
  })
  app.get('/logout', async (req, res) => {
    await req.session.destroy()
    res.send('out')
  })
  app.get('/read', (req, res) => {
    const { cookie: _cookie, ...data } = req.session
    res.json({ data, code: req.session.error?.code })
  })
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  return (server.address() as AddressInfo).port
}

async function storeAt(place: string) {
  if (!place.startsWith('redis:')) return new FileStore({ path: place })
  return new RedisStore({ client: await createClient({ url: place }).connect() })
}
