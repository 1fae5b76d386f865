export { MysqlStore, type MysqlStoreOptions } from './stores/sql/mysql'
