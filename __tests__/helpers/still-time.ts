/**
 * Stops the clock by which stores are waited for, for each test of a file or a `describe`: a machine that stalls makes
 * no call too late. Time passes where a test lets it, for whoever waits for an answer that never comes.
 */
export function withStillTime(): void {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['Date', 'hrtime', 'nextTick', 'queueMicrotask', 'setImmediate', 'setInterval'] })
  })
  afterEach(() => jest.useRealTimers())
}

/** What a store does with a call that it never answers: once it was made, time passes. */
export function never(): Promise<never> {
  setImmediate(() => jest.advanceTimersByTime(60_000))
  return new Promise(() => undefined)
}
