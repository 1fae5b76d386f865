export { sessionCookie } from './manage/session-cookie'
