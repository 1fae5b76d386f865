export { RedisStore } from './stores/redis/redis'
