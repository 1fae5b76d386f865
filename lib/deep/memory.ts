// `express-session/session/memory`: a path that applications and stores import.
import { MemoryStore } from '../stores/memory/memory'

export = MemoryStore
