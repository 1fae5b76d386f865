import { describeGrace } from './helpers/grace'

describeGrace('two processes')
