/** `node bench/maildrop.ts [MESSAGES]`: how long a maildrop takes to open and to measure, how long others have to wait
 *  meanwhile, and what it holds; with names that say all, less, or nothing. Prints; judges nothing. */
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openMaildrop } from '../src/stores/maildir/maildrop.ts'
import { realClock } from '../src/system/clock.ts'
import { quickFiles } from '../src/system/quick-files.ts'

const runs = 3
const messages = Number(process.argv[2] ?? 100_000)

const names = new Map<string, (count: number) => string>([
  ['ours', (count) => `${1_700_000_000 + count}.M5000P1Q${count}R${hex(count)}.mail.example.org,S=6`],
  ["qmail's", (count) => `${1_700_000_000 + count}.${count}.mail.example.org`],
  ['no time in the name', (count) => `x${count}.mail`],
])

for (const [kind, nameOf] of names) {
  const directory = mkdtempSync(join(tmpdir(), 'quaver-bench-'))
  try {
    fill(`${directory}/`, nameOf)
    for (let run = 0; run < runs; run++) console.log(`${kind}: ${await measure(`${directory}/`)}`)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function hex(count: number): string {
  return count.toString(16).padStart(16, '0')
}

function fill(maildir: string, nameOf: (count: number) => string): void {
  for (const part of ['new', 'cur', 'tmp']) mkdirSync(maildir + part)
  for (let count = 0; count < messages; count++) {
    const name = nameOf(count)
    const fd = openSync(maildir + (count % 10 === 0 ? `new/${name}` : `cur/${name}:2,S`), 'wx', 0o600)
    writeSync(fd, 'a: b\n\n')
    closeSync(fd)
  }
}

async function measure(maildir: string): Promise<string> {
  globalThis.gc?.()
  const before = process.memoryUsage()
  let longest = 0
  let last = performance.now()
  let opening = true
  const beat = (): void => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
    if (opening) setImmediate(beat)
  }
  setImmediate(beat)
  const began = performance.now()
  const maildrop = await openMaildrop({ files: quickFiles, clock: realClock }, maildir)
  const opened = performance.now()
  await maildrop.measure()
  const measured = performance.now()
  opening = false
  globalThis.gc?.()
  const after = process.memoryUsage()
  const held = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  const times = `open ${(opened - began).toFixed(0)} ms, sizes ${(measured - opened).toFixed(0)} ms`
  const facts = [`${maildrop.count} messages`, times, `longest wait ${longest.toFixed(0)} ms`]
  return [...facts, `held ${(held / 1e6).toFixed(1)} MB${globalThis.gc ? '' : ' with garbage (see --expose-gc)'}`].join(
    ', ',
  )
}
