// The dashboard in a real Chromium, over the lake that a small demo leaves: every page renders, nothing leaves the host,
// nothing complains, axe finds nothing. `make test-board` sets everything up.
import assert from 'node:assert/strict'
import {spawn} from 'node:child_process'
import {readFileSync, mkdtempSync, rmSync} from 'node:fs'
import {createRequire} from 'node:module'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {after, before, test} from 'node:test'
import {fileURLToPath} from 'node:url'
import {gzipSync} from 'node:zlib'
import {chromium} from 'playwright-core'

const binary = join(dirname(fileURLToPath(import.meta.url)), '../../bin/verdict')
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const budget = 100_000 // bytes of a first load, compressed

const pages = {
  '/': 'Experiments',
  '/experiments/one_page_checkout': 'One-page checkout',
  '/experiments/new_navigation': 'New navigation',
  '/experiments/one_page_checkout/metrics/purchase_conversion_d3?by=device': 'Purchase conversion, 3 days',
  '/metrics': 'Metrics',
  '/metrics/purchase_conversion_d3?by=device': 'Purchase conversion, 3 days',
  '/pipeline': 'Pipeline',
  '/identity': 'Identity',
  '/nowhere': 'Not Found',
}

const lake = mkdtempSync(join(tmpdir(), 'verdict-board-'))
let browser
let demo

/** Plays a small demo and resolves when its dashboard shows all of it. */
function play() {
  const child = spawn(binary, ['demo', '--visitors', '8000', '--lake', lake, '--addr', '127.0.0.1:0'], {stdio: ['ignore', 'pipe', 'pipe']})
  return new Promise((resolve, reject) => {
    let said = ''
    let complained = ''
    child.stderr.on('data', (text) => (complained += text))
    child.stdout.on('data', (text) => {
      said += text
      const at = /Dashboard: (http:\/\/\S+)\s+\(Ctrl-C ends\)/.exec(said)
      if (at) resolve({url: at[1], stop: () => new Promise((ended) => child.once('exit', ended) && child.kill('SIGINT'))})
    })
    child.once('exit', () => reject(new Error(complained + said)))
  })
}

before(async () => {
  demo = await play()
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-background-networking', '--disable-gpu'],
  })
})

after(async () => {
  await browser?.close()
  await demo?.stop()
  rmSync(lake, {recursive: true, force: true})
})

/** A reader, who at the end has seen no error and no request to another host. */
async function reader(t, options = {}) {
  const context = await browser.newContext({viewport: {width: 1280, height: 900}, ...options})
  const page = await context.newPage()
  const complaints = []
  const bytes = {} // by address: what came, compressed
  page.on('console', (message) => complaints.push(`${page.url()}: ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error}`))
  context.on('request', (request) => {
    if (!request.url().startsWith(demo.url) && !request.url().startsWith('data:')) complaints.push(`request to ${request.url()}`)
  })
  context.on('response', async (response) => {
    if (response.url().startsWith('data:')) return
    if (response.status() >= 400 && !response.url().endsWith('/nowhere')) complaints.push(`${response.status()} ${response.url()}`)
    bytes[response.url()] = gzipSync(await response.body().catch(() => '')).length
  })
  t.after(async () => {
    await context.close()
    const unexpected = complaints.filter((text) => !(text.includes('/nowhere') && text.includes('404')))
    assert.deepEqual(unexpected, [])
  })
  return {page, bytes, open: (path) => page.goto(demo.url + path)}
}

const heading = (page) => page.locator('h1').innerText()

/** What axe finds against WCAG 2.1 AA, one line each. */
async function findings(page) {
  await page.evaluate(axe)
  return page.evaluate(async () => {
    const found = await window.axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})
    return found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')}: ${n.failureSummary.split('\n').slice(1).join(' ')}`))
  })
}

for (const colorScheme of ['light', 'dark']) {
  for (const width of [1280, 400]) {
    test(`every page, ${colorScheme}, ${width} px wide: axe finds nothing, and no page scrolls sideways`, async (t) => {
      const {page, open} = await reader(t, {colorScheme, viewport: {width, height: 900}})
      for (const [path, title] of Object.entries(pages)) {
        await open(path)
        assert.equal(await heading(page), title, path)
        assert.deepEqual(await findings(page), [], path)
        const wide = await page.evaluate(() => document.documentElement.scrollWidth)
        assert.ok(wide <= width, `${path} is ${wide} px wide`)
      }
    })
  }
}

test('what is withheld is greyed and stays readable', async (t) => {
  for (const colorScheme of ['light', 'dark']) {
    const {page, open} = await reader(t, {colorScheme})
    await open('/experiments/new_navigation') // a demo this small withholds nothing by itself
    await page.evaluate(() => document.querySelectorAll('section.card').forEach((card) => card.classList.add('greyed')))
    assert.deepEqual(await findings(page), [])
  }
})

test('axe would find something: the check can fail', async (t) => {
  const {page, open} = await reader(t)
  await open('/')
  await page.evaluate(() => document.querySelector('label[for=q]').remove())
  await page.evaluate(() => document.querySelector('#q').removeAttribute('placeholder'))
  assert.match((await findings(page)).join(), /label/)
})

test('a first load is small', async (t) => {
  for (const path of Object.keys(pages)) {
    const {page, bytes, open} = await reader(t)
    await open(path)
    await page.waitForLoadState('networkidle')
    const all = Object.values(bytes).reduce((sum, n) => sum + n, 0)
    t.diagnostic(`${path}: ${all} bytes in ${Object.keys(bytes).length} requests`)
    assert.ok(all > 1000 && all < budget, `${path} takes ${all} bytes`)
  }
})

const names = (page) => page.locator('table.list tbody th a').allInnerTexts()

for (const javaScriptEnabled of [true, false]) {
  test(`the list is filtered, with scripts ${javaScriptEnabled ? 'on' : 'off'}`, async (t) => {
    const {page, open} = await reader(t, {javaScriptEnabled})
    await open('/')
    assert.equal((await names(page)).length, 5)
    await page.getByLabel('Find').fill('merchandising banner')
    await page.getByLabel('Find').press('Enter')
    assert.deepEqual(await names(page), ['Banner: only a few left'])
    assert.match(await page.getByRole('status').innerText(), /1 of 5 shown/)
    await page.getByRole('link', {name: 'Show all'}).click()
    assert.equal((await names(page)).length, 5)
    await page.getByLabel('Find').fill('no such thing')
    await page.getByRole('button', {name: 'Filter'}).click()
    assert.match(await page.locator('main').innerText(), /No experiment matches/)
    await open('/?show=attention')
    const attention = await names(page)
    assert.ok(attention.includes('New navigation') && attention.length < 5, attention.join())
    assert.equal(await page.getByLabel('Show').inputValue(), 'attention')
  })
}

test('by keyboard alone: skip link, list, an experiment, and back', async (t) => {
  const {page, open} = await reader(t)
  await open('/')
  const focused = () => page.evaluate(() => document.activeElement.textContent.trim())
  await page.keyboard.press('Tab')
  assert.equal(await focused(), 'Skip to content')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'q')
  for (let i = 0; i < 20 && (await focused()) !== 'One-page checkout'; i++) await page.keyboard.press('Tab')
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineWidth)
  assert.notEqual(outline, '0px', 'what has the focus shows it')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/experiments/one_page_checkout')
  assert.equal(await heading(page), 'One-page checkout')
})

test('pages print: white, without what only a screen can use', async (t) => {
  const {page, open} = await reader(t, {colorScheme: 'dark'})
  for (const path of Object.keys(pages)) {
    await open(path)
    await page.emulateMedia({media: 'print', colorScheme: 'dark'})
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(255, 255, 255)', path)
    assert.equal(await page.locator('header nav').isVisible(), false, path)
    assert.ok((await page.pdf({format: 'A4'})).length > 5000, path)
    await page.emulateMedia({media: 'screen', colorScheme: 'dark'})
  }
})

test('from the list down to a declared segment, and from a metric to where it is used', async (t) => {
  const {page, open} = await reader(t)
  await open('/')
  await page.getByRole('link', {name: 'One-page checkout'}).click()
  await page.getByRole('link', {name: 'Purchase conversion, 3 days', exact: true}).first().click()
  assert.match(await page.locator('main').innerText(), /By week of first exposure/)
  await page.getByLabel('Split by declared segment').selectOption('device')
  await page.getByRole('button', {name: 'Show'}).click()
  assert.match(await page.locator('#cut-device').innerText(), /before the first exposure/)
  await page.getByRole('link', {name: 'Metrics', exact: true}).click()
  await page.getByRole('link', {name: 'Purchase conversion, 3 days', exact: true}).click()
  await page.getByLabel('by', {exact: true}).selectOption('device')
  await page.getByRole('button', {name: 'Show'}).click()
  assert.ok((await page.locator('svg.trend polyline').count()) > 1)
})
