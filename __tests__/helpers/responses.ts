import './quiet'
import session, { MemoryStore, sessions } from '../../lib/index'
import { deferred, secret } from './app'
import { plainStore } from './classic'
import { exchange, get, sameChunks, serving } from './raw'

/** What answers a request; `log` notes what should be the same without sessions. */
export type Respond = (res: any, log: (...what: unknown[]) => void, req: any) => unknown

/** Every way in which a session stands before a response. */
export const GUARDS: Record<string, () => any> = {
  'sessions() on a synchronous store': () => sessions({ secret, store: new MemoryStore() }),
  'sessions() on an asynchronous store': () => sessions({ secret, store: plainStore() }),
  'the drop-in door': () => session({ secret, store: plainStore(), resave: false, saveUninitialized: false })
}

/** One answer as it came over the wire, less what is ours to add, and what its handler noted. */
export interface Played {
  text: string
  log: unknown[]
  /** How many of our cookies were in it. */
  cookies: number
}

/** Plays one response behind a guard, or without. */
export async function play(guard: any, respond: Respond, method = 'GET'): Promise<Played> {
  const log: unknown[] = []
  const closed = deferred()
  const note = (...what: unknown[]) => void log.push(...what)
  const bytes = await serving(
    (req: any, res) => {
      res.once('finish', () => note('finish'))
      res.once('close', () => closed.resolve())
      const answer = () => {
        if (guard !== undefined) req.session.user = 'ann'
        respond(res, note, req)
      }
      if (guard === undefined) answer()
      else guard(req, res, answer)
    },
    async (port) => {
      const answer = await exchange(port, get('/', {}, method))
      await closed.promise
      return answer
    }
  )
  const text = bytes.toString('latin1')
  return {
    text: sameChunks(text.replace(OURS, '')),
    log,
    cookies: text.match(/^set-cookie: (sid|connect\.sid)=/gim)?.length ?? 0
  }
}

const OURS = /^(date: .*|set-cookie: (sid|connect\.sid)=.*|cache-control: private, no-store|vary: cookie)\r\n/gim
