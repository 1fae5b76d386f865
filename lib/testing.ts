export { sessionCookie } from './session-cookie'
