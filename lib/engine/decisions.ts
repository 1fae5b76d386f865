import { AsyncLocalStorage } from 'node:async_hooks'
import { debuglog } from 'node:util'

const log = debuglog('silverback')

/** Whether `NODE_DEBUG=silverback` asks why each request has got what it got. */
export const explains = log.enabled

// What has happened in a request so far: the name of the session, and the event with its reason.
const requests = explains ? new AsyncLocalStorage<[name: string, what: string][]>() : undefined

/** Notes what has happened to a session of the request that is being served. */
export function noteDecision(name: string, what: string): void {
  requests?.getStore()?.push([name, what])
}

/** Serves a request; what is returned prints a line, which is told what has happened to a session by then. */
export function serveExplained(
  serve: () => void
): (line: (happened: (of: { settings: { name: string } }) => string[]) => string) => void {
  const noted: [string, string][] = []
  requests!.run(noted, serve)
  const happened = ({ settings }: { settings: { name: string } }) =>
    noted.filter(([name]) => name === settings.name).map(([, what]) => what)
  // What an application names by visitors' texts ends no line, and commands no terminal.
  return (line) => log('%s', line(happened).replace(/\p{Cc}/gu, '?'))
}
