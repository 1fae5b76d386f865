export { MemcachedStore } from './stores/memcached/memcached'
