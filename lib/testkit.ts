export { scorecard, storeSuite } from './testing/suite'
export type { MakeStore, Runner, Score, Scorecard, SuiteOptions } from './testing/suite'
