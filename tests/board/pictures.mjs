// Retakes docs/images from a dashboard that is served: `make demo`, then npm --prefix tests/board run pictures.
import {chromium} from 'playwright-core'

const at = process.argv[2] ?? 'http://127.0.0.1:8321'
const browser = await chromium.launch({executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu']})
for (const [path, name, height] of [['/', 'experiments', 1010], ['/experiments/one_page_checkout', 'experiment', 1180]]) {
  const page = await browser.newPage({viewport: {width: 1280, height}, colorScheme: 'light'})
  await page.goto(at + path)
  await page.screenshot({path: new URL(`../../docs/images/${name}.png`, import.meta.url).pathname})
}
await browser.close()
