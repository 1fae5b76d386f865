'use strict'

// Says so when the session ends while this page is open: signed out from another device, by an administrator, ...
// Only while the page is seen: a browser opens six connections at most to one HTTP/1.1 server.
const streams = new Map()

function open(url, event, heard) {
  if (streams.has(url)) return
  const stream = new EventSource(url)
  streams.set(url, stream)
  stream.addEventListener(event, ({ data }) => heard(data))
  // Closed for good (the server answered something else): try again, but not in a hurry.
  stream.addEventListener('error', () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(reopen, 5000)
  })
}

function openAll() {
  open('/live', 'ended', tellEnd)
  for (const place of document.querySelectorAll('[data-live]')) {
    open(place.dataset.live, 'activity', (markup) => (place.innerHTML = markup))
  }
}

function closeAll() {
  for (const stream of streams.values()) stream.close()
  streams.clear()
}

function reopen() {
  closeAll()
  if (!document.hidden && !document.querySelector('#ended').open) openAll()
}

function tellEnd(reason) {
  closeAll()
  document.querySelector('#ended-reason').textContent = reason
  document.title = 'Signed out - Login example'
  document.querySelector('#ended').showModal()
}

openAll()
document.addEventListener('visibilitychange', () => (document.hidden ? closeAll() : reopen()))
// Whoever signs out here is shown the next page, not this.
document.addEventListener('submit', closeAll)
// There is no going back to what the dialog covers.
document.querySelector('#ended').addEventListener('cancel', (event) => event.preventDefault())
