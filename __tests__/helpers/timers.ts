/** The timers that are set from now on, also once they are set as ever again. */
export function recordedTimers(): { timers: NodeJS.Timeout[]; restore(): void } {
  const timers: NodeJS.Timeout[] = []
  const { setTimeout } = globalThis
  const spy = jest.spyOn(globalThis, 'setTimeout').mockImplementation(((...args: Parameters<typeof setTimeout>) => {
    timers.push(setTimeout(...args))
    return timers.at(-1)
  }) as never)
  return { timers, restore: () => spy.mockRestore() }
}
