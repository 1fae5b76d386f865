/** A span of time or a point in time (since 1970), in milliseconds. */
export type Milliseconds = number

export const SECOND: Milliseconds = 1000
export const MINUTE: Milliseconds = 60 * SECOND
export const HOUR: Milliseconds = 60 * MINUTE
export const DAY: Milliseconds = 24 * HOUR

/** The longest that a timer of Node waits. */
export const TIMER_MAX: Milliseconds = 2 ** 31 - 1

/** A date, or the text of one, as a time; an object that is no date (DynamoDB) tells nothing. */
export function timeOf(date: unknown): Milliseconds | undefined {
  const time = date instanceof Date || typeof date === 'string' ? new Date(date).valueOf() : NaN
  return Number.isNaN(time) ? undefined : time
}

/** A value now, or a promise of it. Synchronous stores stay synchronous all the way through. */
export type MaybePromise<T> = T | Promise<T>

/** Tells a promise (or any thenable) from a plain answer. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** Goes on with a value at once if it is there, and after the promise if it is one. */
export function chain<T, R>(value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? value.then(next) : next(value)
}
