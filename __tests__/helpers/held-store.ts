/** A store that keeps what it is given, and answers a read when the test says so. */
export class HeldStore {
  readonly records = new Map<string, string>()
  readonly held: (() => void)[] = []
  asked = 0
  holding = true

  get(id: string, callback: (err: unknown, session?: unknown) => void): void {
    this.asked++
    const reply = () => callback(null, JSON.parse(this.records.get(id) ?? 'null'))
    if (this.holding) this.held.push(reply)
    else setImmediate(reply)
  }

  async set(id: string, session: object): Promise<void> {
    this.records.set(id, JSON.stringify(session))
  }

  async destroy(id: string): Promise<void> {
    this.records.delete(id)
  }

  goOn(): void {
    this.holding = false
    this.held.splice(0).forEach((reply) => reply())
  }
}
