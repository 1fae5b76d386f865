import { setImmediate as turn } from 'node:timers/promises'

/** Something that waits until it is chosen. */
type Step = () => void

/**
 * Chooses what happens next of everything that could: each call of a store is one step when it is carried out and
 * another when its answer arrives, so that every order of them can come about.
 */
export class Scheduler {
  readonly #steps: Step[] = []
  #running = 0

  /** Resolves when it is chosen. */
  step(): Promise<void> {
    return new Promise((resolve) => this.#steps.push(resolve))
  }

  /** Carries out a call when it is chosen, and answers when that is. */
  async call<T>(work: () => T | Promise<T>): Promise<T> {
    await this.step()
    this.#running++
    try {
      return await work()
    } finally {
      this.#running--
      await this.step()
    }
  }

  /** Lets everything happen in the order of the choices, and in turn when there are no more. */
  async run(choices: readonly number[], isOver: () => boolean): Promise<void> {
    for (let count = 0; ; count++) {
      // What follows from the last step comes first.
      do for (let i = 0; i < 3; i++) await turn()
      while (this.#steps.length === 0 && this.#running > 0)
      if (this.#steps.length === 0) {
        if (isOver()) return
        await turn()
        continue
      }
      const choice = count < choices.length ? choices[count]! : 0
      this.#steps.splice(choice % this.#steps.length, 1)[0]!()
    }
  }
}

/** The methods of a store or of its powers, each a call of the scheduler's; `except` is passed on as it is. */
export function scheduled<T extends object>(target: T, scheduler: () => Scheduler | undefined, verbs: string[]): T {
  const wrapped = Object.create(target) as Record<string, unknown>
  for (const verb of verbs) {
    const method = (target as Record<string, unknown>)[verb]
    if (typeof method !== 'function') continue
    const call = (...args: unknown[]) => method.apply(target, args) as unknown
    wrapped[verb] = (...args: unknown[]) => {
      const now = scheduler()
      return now === undefined ? Promise.resolve(call(...args)) : now.call(() => call(...args))
    }
  }
  return wrapped as T
}
