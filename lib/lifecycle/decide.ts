/** All that the decision about a session depends on. */
export interface Facts {
  classic: boolean
  /** The session ID that the request proved to have. */
  presented: boolean
  /** The store has a record of it, as far as we know. */
  stored: boolean
  /** Its data differs from what was loaded, or its ID is new since (regenerate). */
  modified: boolean
  /** What would be written now has been written already. */
  saved: boolean
  /** An explicit save happened, or nothing needs one: express-session's `savedHash`. */
  everSaved: boolean
  /** The application changed an attribute of the cookie. */
  cookieChanged: boolean
  persistent: boolean
  /** `touchAfter` has passed, and the request may extend. */
  due: boolean
  /** An older key verified it, or it came in a form that is re-issued. */
  stale: boolean
  canTouch: boolean
  /** The record travels in the cookie. */
  carried: boolean
  rolling: boolean
  resave: boolean
  saveUninitialized: boolean
}

/** What to do with the record, and whether the cookie goes along. */
export interface Plan {
  store: 'none' | 'save' | 'touch'
  sendCookie: boolean
}

/** The one decision point: from facts to plan, nothing else looks at them. */
export function decide(facts: Facts): Plan {
  const plan = facts.classic ? decideClassic(facts) : decideModern(facts)
  if (!facts.carried) return plan
  // A cookie that is the record can only be sent by writing it, and written by sending it.
  if (plan.store === 'none') return plan.sendCookie ? { ...plan, store: 'touch' } : plan
  return { ...plan, sendCookie: true }
}

// express-session's shouldSave, shouldTouch and shouldSetCookie.
function decideClassic(facts: Facts): Plan {
  const { presented, modified, saved, everSaved, saveUninitialized } = facts
  const save = !saveUninitialized && !everSaved && !presented ? modified : !saved
  return {
    store: save ? 'save' : presented && facts.canTouch && facts.due ? 'touch' : 'none',
    sendCookie: presented ? facts.rolling || (facts.persistent && modified) : saveUninitialized || modified
  }
}

function decideModern(facts: Facts): Plan {
  const { presented, stored, due, persistent } = facts
  const save = stored
    ? facts.modified || facts.cookieChanged || (facts.resave && !facts.saved)
    : facts.modified || facts.saveUninitialized
  const touch = !save && stored && due && facts.canTouch
  const exists = stored || save
  const prolonged = (save && due) || touch
  return {
    store: save ? 'save' : touch ? 'touch' : 'none',
    sendCookie:
      exists && (!presented || facts.rolling || facts.stale || facts.cookieChanged || (persistent && prolonged))
  }
}
