/** testssl.sh against a port of ours.
 *  Knows:  its options and its list of findings. Never: which findings are good enough; the test says that. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { without } from './tool.ts'

export interface Finding {
  readonly id: string
  /** OK, INFO, LOW, MEDIUM, HIGH, CRITICAL; WARN where a check could not be made, FATAL where none could. */
  readonly severity: string
  readonly finding: string
}

export interface TestedPort {
  readonly port: number
  /** How TLS begins; undefined: at once. */
  readonly startTls: 'smtp' | 'pop3' | undefined
  /** A name of the certificate. */
  readonly hostName: string
  readonly caPem: string
}

/** Half a minute of two processors' work, or all there is: five minutes. */
const parts: Readonly<Record<'quick' | 'full', readonly (readonly string[])[]>> = {
  quick: [
    ['-p', '-R'],
    ['--ssl-native', '-s', '-S', '-L'],
  ],
  full: [['-p', '-s', '-f', '-P', '-S', '-U']],
}
const partMillisecondsMax = { quick: 240_000, full: 900_000 } as const
const full = process.env['QUAVER_TESTSSL'] === 'full'
export const testsslMillisecondsMax: number = partMillisecondsMax[full ? 'full' : 'quick'] + 30_000

/** For the `skip` option of a test. */
export function withoutTestssl(): string | false {
  if (process.env['CI'] === undefined && process.env['QUAVER_TESTSSL'] === undefined)
    return 'takes most of a minute: set QUAVER_TESTSSL=1, or =full for every check'
  return without('testssl', 'openssl')
}

/** Rejects if testssl.sh did not come to its end. */
export async function testssl(tested: TestedPort): Promise<Finding[]> {
  const directory = await mkdtemp(join(tmpdir(), 'quaver-testssl-'))
  try {
    await writeFile(join(directory, 'ca.pem'), tested.caPem)
    const kind = full ? 'full' : 'quick'
    const runs = parts[kind].map((checks, n) =>
      runPart(directory, `${n}.json`, checks, tested, partMillisecondsMax[kind]),
    )
    return (await Promise.all(runs)).flat()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function runPart(
  directory: string,
  file: string,
  checks: readonly string[],
  { port, startTls, hostName }: TestedPort,
  timeout: number,
): Promise<Finding[]> {
  const how = ['--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'none', '--ip', '127.0.0.1']
  const files = ['--add-ca', join(directory, 'ca.pem'), '--jsonfile', join(directory, file)]
  const protocol = startTls === undefined ? [] : ['-t', startTls]
  // Its pauses are meant for the Internet.
  const env = { ...process.env, USLEEP_SND: '0.01', USLEEP_REC: '0.02' }
  const output = await new Promise<string>((resolve, reject) => {
    const args = [...how, ...files, ...checks, ...protocol, `${hostName}:${port}`]
    // Its exit code counts findings.
    execFile('testssl', args, { env, timeout, cwd: directory, encoding: 'latin1' }, (error, stdout, stderr) => {
      if (error?.killed === true) reject(new Error(`testssl took more than ${timeout} ms: ${stdout.slice(-500)}`))
      else resolve(stdout + stderr)
    })
  })
  const report = await readFile(join(directory, file), 'utf8').catch(() => '')
  if (report === '') throw new Error(`testssl made no report: ${output.slice(-2000)}`)
  return JSON.parse(report) as Finding[]
}
