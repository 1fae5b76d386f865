export { sessionCookie } from './manage/session-cookie'
export { clock, type Clock } from './testing/clock'
export { faultyStore, type FaultyStore, type FaultyVerb, type Interrupted } from './testing/faulty-store'
export { sessionOf } from './testing/session-of'
