/** The whole clock of the library: it reads the time only as `Date.now()`. */
export class Clock {
  #now: number

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now
    jest.spyOn(Date, 'now').mockImplementation(() => this.#now)
  }

  get now(): number {
    return this.#now
  }

  forward(ms: number): void {
    this.#now += ms
  }

  restore(): void {
    jest.mocked(Date.now).mockRestore()
  }
}
