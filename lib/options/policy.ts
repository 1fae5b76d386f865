import { oneOf, quote } from '../base/errors'
import { isProduction, warnOnce } from '../base/warnings'
import { askedAtOnce } from './option-checks'
import type { SessionsOptions } from './sessions-options'
import type { Settings } from './settings'

/** The option `onStoreError` as a function; of an answer that is none it is told, outside production. */
export function policyOf(given: NonNullable<SessionsOptions['onStoreError']>): Settings['onStoreError'] {
  const policies = ['fail', 'anonymous'] as const
  if (typeof given !== 'function') {
    oneOf('onStoreError', given, policies)
    return () => given
  }
  const ask = askedAtOnce('onStoreError', given)
  return (err, req) => {
    const answer = ask(err, req)
    if (!policies.includes(answer) && !isProduction()) {
      const words = `The option onStoreError answered ${quote(answer)}, which counts as 'fail'`
      warnOnce('SILVERBACK_OPTION', `${words}: it must answer one of ${policies.join(', ')}.`, 'onStoreError answered')
    }
    return answer
  }
}
