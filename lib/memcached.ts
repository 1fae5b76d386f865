export { MemcachedStore, type MemcachedStoreOptions } from './stores/memcached/memcached'
