/** An instance with logins, a certificate by an authority of the test's own, and what mail programs need to reach it.
 *  Knows:  the names that the certificate bears: 127.0.0.1 and localhost, as programs call it. */
import { join } from 'node:path'
import { Authority } from './certificates.ts'
import { demoAddress, demoPassword, everyService, Instance, run } from './instance.ts'

export interface LoginInstance {
  readonly quaver: Instance
  /** PEM file of the authority. */
  readonly caFile: string
  /** Whole, as it arrived for the demo's account. */
  arrived(subject: string): Promise<string>
  end(): Promise<void>
}

export async function startWithLogins(files: Readonly<Record<string, string>> = {}): Promise<LoginInstance> {
  const authority = new Authority()
  const { cert, key } = authority.issue('quaver.test', 'DNS:quaver.test', 'DNS:localhost', 'IP:127.0.0.1')
  const { caPem } = authority
  authority.remove()
  const tls = { 'tls/cert.pem': cert, 'tls/key.pem': key, 'ca.pem': caPem }
  const quaver = await Instance.start({ services: everyService, files: { ...tls, ...files } })
  return {
    quaver,
    caFile: join(quaver.home, 'ca.pem'),
    async arrived(subject) {
      const fits = (content: Buffer): boolean => content.includes(`\nSubject: ${subject}\n`)
      return (await quaver.message(fits, `the message of ${subject}`)).toString('latin1')
    },
    end: () => quaver.end(),
  }
}

/** What a person's own program is told. */
export const login = { user: demoAddress, password: demoPassword } as const

let interpreter: Promise<string> | undefined

/** Runs a program of Python's standard library with these arguments; what it prints. */
export async function python(program: string, ...args: readonly string[]): Promise<string> {
  // `python3` may be a script that looks for it each time.
  interpreter ??= run('python3', ['-c', 'import sys; print(sys.executable)']).then(({ stdout }) => stdout.trim())
  const { code, stdout, stderr } = await run(await interpreter, ['-c', program, ...args])
  if (code !== 0) throw new Error(`python3 ended with ${code}: ${stdout}${stderr}`)
  return stdout
}
