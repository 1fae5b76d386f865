import { madeFor } from '../base/maps'
import { isPromise, type MaybePromise } from '../base/time'
import type { Callback } from './contract'

/** A method of a store or a test double, whatever it takes. */
export type Method = (...args: any[]) => unknown

/**
 * Calls a method of any calling style: direct answer, promise, or Node callback.
 *
 * The first answer counts. A method that declares the callback is waited for, whatever it returns beside a session
 * or a promise: many return what their client returned. Of one that does not declare it, what it returns is the answer.
 * One that takes whatever comes stands for another, unknown one: its promise is the answer, and so is `null`.
 */
export function callStore<T>(store: object, method: Method, args: unknown[]): MaybePromise<T> {
  let settled: { err?: unknown; value?: T } | undefined
  let resolve: ((value: T) => void) | undefined
  let reject: ((err: unknown) => void) | undefined
  const callback: Callback<T> = (err, value) => {
    if (resolve === undefined) settled ??= { err, value: value as T }
    else if (err) reject!(err)
    else resolve(value as T)
  }
  const returned = method.call(store, ...args, callback)
  const callbackIs = declarationOf(method, args.length)
  if (settled !== undefined) {
    if (isPromise(returned)) returned.then(undefined, () => undefined)
    if (settled.err) throw settled.err
    return settled.value as T
  }
  if (!isPromise(returned)) {
    const answered = callbackIs === 'absent' || isRecord(returned) || (callbackIs === 'possible' && returned === null)
    if (answered) return returned as T
  }
  return new Promise<T>((res, rej) => {
    resolve = res
    reject = rej
    if (!isPromise(returned)) return
    returned.then((value) => {
      if (value !== undefined || callbackIs !== 'declared') res(value as T)
    }, rej)
  })
}

function isRecord(returned: unknown): boolean {
  return typeof (returned as { cookie?: unknown } | null | undefined)?.cookie === 'object'
}

/** Whether a method names the callback, may take it with `...rest` or `arguments` (a wrapper, a spy), or does neither. */
type Declaration = 'declared' | 'possible' | 'absent'

function declarationOf(method: Method, before: number): Declaration {
  // A test double of jest or vitest takes whatever comes, and tells what it runs.
  const asked = (method as { getMockImplementation?: () => typeof method }).getMockImplementation?.() ?? method
  if (asked.length > before) return 'declared'
  return sourceDeclares(asked, before)
}

// `length` ends at the first default or rest parameter (`set(id, session, cb = noop)`), so the source is asked too.
const sourceDeclares = madeFor((method: Method, before: number): Declaration => {
  const source = Function.prototype.toString.call(method)
  // Not of `id => get(id, 1)`, whose first parenthesis is a call's.
  const list = withoutNested(/^[^(=]*\(([^]*?)\)\s*(?:=>|\{)/.exec(source)?.[1] ?? '')
  const [named, rest] = list.split('...') as [string, string?]
  if (named.split(',').filter((name) => name.trim() !== '').length > before) return 'declared'
  return rest !== undefined || /\barguments\b/.test(source) ? 'possible' : 'absent'
})

// A list of parameters whose commas are between parameters: no comments, and nothing of patterns and defaults.
function withoutNested(list: string): string {
  let rest = list.replace(/\/\*[^]*?\*\/|\/\/.*/g, '')
  for (let before = ''; before !== rest;) {
    before = rest
    rest = rest.replace(/\{[^{}]*\}|\[[^[\]]*\]|\([^()]*\)/g, '_')
  }
  return rest
}
