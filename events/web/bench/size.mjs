// Sizes of what a page loads: this SDK's script beside the scripts that its peers ship on npm, each `gzip -9`.
import {execFileSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {gzipSync} from 'node:zlib'

const peers = [
  ['@snowplow/browser-tracker', '4.10.1', 'dist/index.umd.min.js'],
  ['@amplitude/analytics-browser', '2.48.1', 'lib/scripts/amplitude-min.js'],
  ['@segment/analytics-next', '1.84.3', 'dist/umd/standalone.js'],
  ['posthog-js', '1.449.2', 'dist/array.js'],
]

const size = (file) => gzipSync(readFileSync(file), {level: 9}).length
const own = size(new URL('../dist/verdict.js', import.meta.url))
console.log(`${'verdict-web dist/verdict.js'.padEnd(60)} ${String(own).padStart(7)} B   1.0x`)
for (const [name, version, file] of peers) {
  const folder = mkdtempSync(join(tmpdir(), 'verdict-size-'))
  const label = `${name}@${version} ${file}`.padEnd(60)
  try {
    const [{filename}] = JSON.parse(execFileSync('npm', ['pack', '--json', '--ignore-scripts', `${name}@${version}`], {cwd: folder, stdio: ['ignore', 'pipe', 'ignore']}))
    execFileSync('tar', ['-xzf', filename], {cwd: folder})
    const bytes = size(join(folder, 'package', file))
    console.log(`${label} ${String(bytes).padStart(7)} B ${(bytes / own).toFixed(1).padStart(5)}x`)
  } catch (problem) {
    console.log(`${label} not available: ${String(problem.message).split('\n')[0]}`)
  } finally {
    rmSync(folder, {recursive: true, force: true})
  }
}
