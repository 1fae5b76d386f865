export { PostgresStore, type PostgresStoreOptions } from './stores/sql/postgres'
