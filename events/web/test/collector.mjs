// A collector on loopback that keeps the wire contract, and breaks it in the ways networks do.
import {createServer} from 'node:http'

/**
 * Each request is answered by the next of `answers`, then by 'ok':
 *   'ok'                          stores all, 200
 *   {status, ...}                 stores nothing, answers so
 *   {status: 503, notStored: [i]} stores the others
 *   'lost'                        stores all, and the answer is lost
 *   'broken'                      stores nothing, and the connection breaks
 *   'silent'                      stores all, never answers
 */
export async function startCollector(t, answers = []) {
  const collector = {answers, requests: [], stored: new Map(), deliveries: 0}
  const store = (events) => {
    for (const event of events) {
      collector.deliveries++
      const text = JSON.stringify(event)
      const known = collector.stored.get(event.event_id)
      if (known !== undefined && known !== text) throw new Error(`event ${event.event_id} came twice, unlike`)
      collector.stored.set(event.event_id, text)
    }
  }
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const body = JSON.parse(text)
    collector.requests.push({path: request.url, headers: request.headers, body, bytes: Buffer.byteLength(text)})
    const next = collector.answers.shift() ?? 'ok'
    const answer = typeof next === 'function' ? next(body) : next
    switch (answer) {
      case 'ok':
        store(body.events)
        response.end(JSON.stringify({accepted: body.events.length, quarantined: 0, quarantine: []}))
        return
      case 'lost':
        store(body.events)
        response.destroy()
        return
      case 'broken':
        response.destroy()
        return
      case 'silent':
        store(body.events)
        return
    }
    const {status, retryAfter, notStored} = answer
    if (notStored) store(body.events.filter((_, i) => !notStored.includes(i)))
    if (retryAfter) response.setHeader('Retry-After', retryAfter)
    response.setHeader('Content-Type', 'application/problem+json')
    response.statusCode = status
    response.end(JSON.stringify({type: 'about:blank', title: 'no', status, not_stored: notStored}))
  })
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  collector.url = `http://127.0.0.1:${server.address().port}`
  collector.events = () => [...collector.stored.values()].map((text) => JSON.parse(text))
  return collector
}
