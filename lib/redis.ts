export { RedisStore } from './stores/redis'
