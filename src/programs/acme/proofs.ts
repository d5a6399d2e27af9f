/** Proofs that a name is ours: a file that httpd serves (http-01), or a TXT record that the administrator's program publishes
 *  (dns-01).
 *  Fails:  rejects with a text for the administrator. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { removeChallenge, writeChallenge } from '../../stores/acme/challenge-files.ts'
import type { Home } from '../../stores/home/layout.ts'
import type { Files } from '../../system/files.ts'
import { hookMillisecondsMax, hookOutputBytesMax } from './limits.ts'

export interface Proof {
  readonly type: 'http-01' | 'dns-01'
  /** `token` and `keyAuthorization` of one challenge (RFC 8555 §8.1). */
  present(name: string, token: string, keyAuthorization: string): Promise<void>
  /** Removes it again. */
  clear(name: string, token: string, keyAuthorization: string): Promise<void>
}

export function byFiles(files: Files, home: Home): Proof {
  return {
    type: 'http-01',
    present: (_name, token, keyAuthorization) => writeChallenge(files, home, token, keyAuthorization),
    clear: (_name, token) => removeChallenge(files, home, token),
  }
}

/** `command`: the program and its arguments. It runs in `directory`, as our user, with the arguments of lego's hooks: `present`
 *  or `cleanup`, the record's name with its last dot, and its value. */
export function byHook(command: readonly string[], directory: string): Proof {
  const run = async (what: 'present' | 'cleanup', name: string, keyAuthorization: string): Promise<void> => {
    const value = createHash('sha256').update(keyAuthorization).digest('base64url')
    await runHook([...command, what, `_acme-challenge.${name}.`, value], directory)
  }
  return {
    type: 'dns-01',
    present: (name, _token, keyAuthorization) => run('present', name, keyAuthorization),
    clear: (name, _token, keyAuthorization) => run('cleanup', name, keyAuthorization),
  }
}

async function runHook([file = '', ...args]: readonly string[], directory: string): Promise<void> {
  const child = spawn(file, args, {
    cwd: directory,
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: hookMillisecondsMax,
    killSignal: 'SIGKILL',
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString('latin1')).slice(-hookOutputBytesMax)))
  const [code, signal] = (await once(child, 'close').catch((error: unknown) => {
    throw new Error(`control/acmehook: ${String(error)}`)
  })) as [number | null, string | null]
  if (code === 0) return
  const end = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`
  throw new Error(`control/acmehook: ${file} ${end}: ${said.replace(/[^ -~]+/g, ' ').trim()}`)
}
