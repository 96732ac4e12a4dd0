// The SDK in a real Chromium against a deployed collector on another origin: node deployed.mjs COLLECTOR.
// Prints how many events it gave to the SDK, once the SDK has delivered them all. `make e2e-aws` runs it.
import {readFileSync} from 'node:fs'
import {createServer} from 'node:http'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {chromium} from 'playwright-core'

const [collector, writeKey] = process.argv.slice(2)
const script = readFileSync(join(dirname(fileURLToPath(import.meta.url)), '../dist/verdict.js'))
const searches = (batch) => JSON.parse(batch).events.filter(({event}) => event === 'search_performed').length // the SDK adds some of its own
const site = createServer((request, response) => {
  if (request.url === '/verdict.js') return response.setHeader('Content-Type', 'text/javascript').end(script)
  response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>shop</title><script src="/verdict.js"></script>')
})
await new Promise((listening) => site.listen(0, '127.0.0.1', listening))
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-background-networking', '--disable-gpu', '--host-resolver-rules=MAP *.localhost 127.0.0.1'],
})
try {
  const page = await browser.newPage()
  let stored = 0
  page.on('response', async (response) => {
    if (response.request().method() === 'POST' && response.status() === 200) stored += searches(response.request().postData())
  })
  await page.goto(`http://127.0.0.1:${site.address().port}/`)
  const events = 50
  await page.evaluate(
    ([url, writeKey, events]) => {
      const v = verdict.createVerdict({url, writeKey, app: {name: 'deployed'}, consent: {analytics_storage: 'granted'}})
      for (let n = 0; n < events; n++) v.track('search_performed', {results: n})
    },
    [collector, writeKey, events],
  )
  for (let i = 0; stored < events && i < 300; i++) await new Promise((wait) => setTimeout(wait, 100))
  if (stored < events) throw new Error(`the collector took ${stored} of ${events} events`)
  console.log(stored)
} finally {
  await browser.close()
  site.close()
}
