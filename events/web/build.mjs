// Builds dist/verdict.js (script tag), dist/verdict.mjs (npm) and the types, and holds the script to its size.
import {execFileSync} from 'node:child_process'
import {createRequire} from 'node:module'
import {readFileSync, rmSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {gzipSync} from 'node:zlib'
import {build} from 'esbuild'

// The smallest peer, Snowplow's browser tracker 4.10.1, ships 17,402 bytes (gzip -9): the target is a third of it.
const TARGET = 6 * 1024
const LIMIT = 8 * 1024

const root = dirname(fileURLToPath(import.meta.url))
const {version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const shared = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  target: 'es2020',
  define: {VERSION: JSON.stringify(version)},
}

rmSync(join(root, 'dist'), {recursive: true, force: true})
await build({...shared, entryPoints: ['src/script.ts'], outfile: 'dist/verdict.js', format: 'iife', globalName: 'verdict'})
await build({...shared, entryPoints: ['src/index.ts'], outfile: 'dist/verdict.mjs', format: 'esm'})
await build({...shared, entryPoints: ['src/experiments.ts'], outfile: 'dist/experiments.mjs', format: 'esm'})
await build({...shared, entryPoints: ['src/experiments.ts'], outfile: 'dist/experiments.js', format: 'iife', globalName: 'verdictExperiments'})
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript')), 'tsc.js')
execFileSync(process.execPath, [tsc, '--declaration', '--emitDeclarationOnly'], {cwd: root, stdio: 'inherit'})

const size = gzipSync(readFileSync(join(root, 'dist/verdict.js')), {level: 9}).length
console.log(`dist/verdict.js: ${size} bytes gzip -9 (target ${TARGET}, limit ${LIMIT})`)
if (size > LIMIT) {
  console.error(`dist/verdict.js is ${size - LIMIT} bytes over its limit`)
  process.exit(1)
}
