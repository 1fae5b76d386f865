import { demand, hasMethods, isTimerSpan, unquoted } from '../base/errors'
import { TIMER_MAX } from '../base/time'
import { givenOptions } from '../base/warnings'

/** What an option must be, in words, whether a value is that, and what of one that is not may be told. */
export type Rule = readonly [be: string, holds: (value: unknown) => boolean, told?: typeof unquoted]

/** For an option that may be left out. */
export function optional(be: string, holds: (value: unknown) => boolean): Rule {
  return [be, (value) => value === undefined || holds(value)]
}

/** For an option that is an object with methods. */
export function having(be: string, ...methods: string[]): Rule {
  return [be, (value) => hasMethods(value, ...methods)]
}

/** For an option whose value is taken as it is. */
export const ANYTHING: Rule = optional('anything', () => true)

/** For one that is on or off. A text from the environment, 'false' say, would be on. */
export const FLAG: Rule = optional('true or false', (value) => typeof value !== 'string' || value === '')

/** What a timer waits for: beyond its bound Node waits for a millisecond. */
export const TIMER_SPAN: Rule = optional(`milliseconds from 1 to ${TIMER_MAX}`, isTimerSpan)

/** Turns records into what a store keeps, and back: to encrypt them at rest, say. Either may answer by promise. */
export interface Serializer {
  parse(text: string): unknown
  stringify(record: any): string | Promise<string>
}

export const SERIALIZER: Rule = [
  'an object with the methods `parse` and `stringify`',
  (value) => value === undefined || hasMethods(value, 'parse', 'stringify'),
  // A text in its place may be the key to encrypt with.
  unquoted
]

export function isFilled(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

/** The options of a store, each as its rule demands. @throws {OptionError} for the first that is not */
export function checkOptions<O extends object>(
  store: string,
  options: O,
  rules: { readonly [Option in keyof O]-?: Rule }
): O {
  const given = givenOptions(store, options, Object.keys(rules)) as O
  for (const [option, [be, holds, told]] of Object.entries<Rule>(rules)) {
    const value = given[option as keyof O]
    demand(holds(value), store, option, be, told ? told(value) : value)
  }
  return given
}
