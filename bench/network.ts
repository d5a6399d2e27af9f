/** A network of our own: a namespace in which every address of 198.18.0.0/15 (RFC 2544: for benchmarks) is this machine's.
 *  Who connects to one of them comes from it: many strangers, without a second machine. Needs root. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'

const marker = 'QUAVER_BENCH_NETWORK'
export const strangers = '198.18.0.0/15'

/** Runs the calling program again inside; resolves there with undefined, outside with the exit code of the inner run. */
export async function insideOwnNetwork(): Promise<number | undefined> {
  if (process.env[marker] !== undefined) {
    execFileSync('ip', ['link', 'set', 'lo', 'up'])
    execFileSync('ip', ['route', 'add', 'local', strangers, 'dev', 'lo'])
    return undefined
  }
  const args = ['--net', process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  const child = spawn('unshare', args, { env: { ...process.env, [marker]: '1' }, stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}

/** The n-th stranger. */
export function stranger(n: number): string {
  return `198.${18 + ((n >> 16) & 1)}.${(n >> 8) & 255}.${n & 255}`
}
