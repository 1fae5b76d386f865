import { markOf } from './engine'
import { SessionError } from '../base/errors'
import type { Settings } from '../options/settings'
import { EmptyRequest, type HttpRequest } from '../base/http'

/**
 * The mark of what a request binds its session to; `undefined` where nothing is to be bound.
 *
 * A request without it (no User-Agent, say) counts as one with an empty text: it opens no session that is bound to
 * something, and its own is opened by no request that has something to show.
 *
 * @throws {SessionError} `ERR_SESSION_OPTION` when the option answers anything but a string or nothing
 */
export function bindingOf({ bind }: Settings, req: HttpRequest): string | undefined {
  if (bind === undefined || req instanceof EmptyRequest) return undefined
  const value: unknown = bind(req) ?? ''
  if (typeof value === 'string') return markOf(value)
  throw new SessionError(
    'ERR_SESSION_OPTION',
    `The option bind must return a string, and returned ${typeof value === 'object' ? 'an object' : `a ${typeof value}`}.`
  )
}
