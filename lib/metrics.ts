export { metricsOf, type Metrics, type MetricValues, type StoreCallCounts } from './manage/metrics'
