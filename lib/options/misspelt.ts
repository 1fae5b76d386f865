import { nearest, warnOfMisspelt } from '../base/warnings'

const OPTIONS = (
  'secret store name cookie idle absolute touchAfter extend rolling resave saveUninitialized unset genid proxy ' +
  'transport hashIds load storeTimeout onStoreError bind userId schema adopt cacheGuard maxPerUser named'
).split(' ')
const ATTRIBUTES = 'path domain httpOnly secure sameSite maxAge expires partitioned priority signed encode'.split(' ')

/** Outside production, one warning for each option of the middleware that has no effect and is nearly one that has. */
export function warnOfOptions(options: object, prefix = ''): void {
  const { cookie, adopt } = options as { cookie?: unknown; adopt?: unknown }
  warnOfMisspelt(prefix, options, OPTIONS, (key) => {
    // express-session's door knows `name` as `key`, too.
    const attribute = key === 'key' ? undefined : nearest(key, ATTRIBUTES)
    return key === 'key' ? 'name' : attribute && `cookie.${attribute}`
  })
  if (typeof cookie === 'object' && cookie !== null) warnOfAttributes(cookie, prefix)
  if (typeof adopt === 'object' && adopt !== null) warnOfMisspelt(`${prefix}adopt.`, adopt, ['from', 'reissue'])
}

/** The same for the attributes of a cookie. */
export function warnOfAttributes(cookie: object, prefix = ''): void {
  warnOfMisspelt(`${prefix}cookie.`, cookie, ATTRIBUTES)
}
