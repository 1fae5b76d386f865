import type { HttpResponse } from '../base/http'
import { pseudonym } from '../base/diagnostics'
import type { Handle } from '../lifecycle/handle'
import type { Status } from '../lifecycle/status'

/** Why a session was not saved. */
const UNSAVED: Record<Status, string> = {
  unread: 'the application did not ask for it',
  found: 'nothing changed',
  new: 'there is nothing in it',
  renewed: 'the store did not take it',
  stored: 'nothing changed',
  readonly: 'its ID was rotated away, so it is read-only',
  standin: 'it stands in for one that the store could not read',
  gone: 'another request ended it',
  ended: 'it was ended'
}

/** What has become of a session in its request, and why: no ID, no data. @param happened the events and their reasons */
export function explain(handle: Handle, res: HttpResponse | undefined, happened: readonly string[]): string {
  const { id, status, settings } = handle
  const isWritten = happened.some((what) => /^(saved|touched|destroyed)/.test(what))
  // A genid may have returned anything.
  const named = typeof id !== 'string' || id === '' ? settings.name : `${settings.name} ${pseudonym(id)}`
  const facts = [...happened, ...(isWritten ? [] : [`not saved: ${UNSAVED[status]}`]), cookieFact(handle, res)]
  return `${named}: ${facts.join(', ')}`
}

function cookieFact(handle: Handle, res: HttpResponse | undefined): string {
  const { status, settings, outgoing, tokens } = handle
  if (res === undefined) return 'no cookie: there is no response'
  const given = res.getHeader('Set-Cookie')
  const texts = (Array.isArray(given) ? given : [given]).filter((text) => String(text).startsWith(`${settings.name}=`))
  if (texts.some((text) => !String(text).startsWith(`${settings.name}=;`))) {
    return `cookie sent: ${tokens.values.length === 0 ? 'the client had none' : handle.isPresented ? 'extended or changed' : 'a new ID'}`
  }
  if (texts.length > 0) return 'cookie expired'
  if (tokens.viaHeader) return `no cookie: the client uses the header ${settings.header}`
  if (outgoing === 'send') return 'no cookie: it was withheld'
  if (status === 'unread' || status === 'found') return 'no cookie: the session was left alone'
  if (handle.isPresented) return 'no cookie: the client has it'
  return status === 'new' ? 'no cookie: nothing was stored' : 'no cookie: the session is not kept'
}
