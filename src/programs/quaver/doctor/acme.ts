/** Faults of ACME, seen from outside: whether the names lead to the server that shows challenges. acme's own troubles are in
 *  `status`.
 *  Fails:  nothing throws. */
import { get } from 'node:http'
import { describeError } from '../../../base/outcome.ts'
import { probe } from '../../../stores/acme/challenge-files.ts'
import { Control } from '../../../stores/control/control.ts'
import type { Home } from '../../../stores/home/layout.ts'
import { realClock } from '../../../system/clock.ts'
import { finding, type MachineFinding } from '../machine/finding.ts'
import { shownAcme } from '../tls/certificates.ts'

const answerMillisecondsMax = 5_000
const bytesMax = 1024

/** `port`: that an authority connects to. */
export async function acmeFindings(home: Home, isAsked: boolean, port = 80): Promise<MachineFinding[]> {
  const acme = await shownAcme(home)
  if (acme === undefined) return []
  if (acme.state === 'refused')
    return [finding('error', 'acme', acme.failure, 'until then no certificate of the authority is put in place')]
  if (acme.challenge !== 'http-01') return []
  const found = isAsked ? await Promise.all(acme.names.map((name) => challengeFinding(name, port))) : []
  const control = new Control(home.control, realClock)
  const text = 'control/acme is there, and neither control/listen-http nor control/acmehook'
  const remedy = `write control/listen-http (0.0.0.0:80), or have your web server show ${home.acme}/challenge at /.well-known/acme-challenge/`
  const isShown = control.isPresent('listen-http') || (isAsked && found.every((one) => one === undefined))
  return [...found.filter((one) => one !== undefined), ...(isShown ? [] : [finding('warning', 'acme', text, remedy)])]
}

async function challengeFinding(name: string, port: number): Promise<MachineFinding | undefined> {
  const url = `http://${name}${port === 80 ? '' : `:${port}`}/.well-known/acme-challenge/${probe.token}`
  try {
    const said = await textAt(url)
    if (said === probe.text) return undefined
    return finding('warning', 'acme', `${url} is shown by something else than this Quaver`, remedyOf(name))
  } catch (error) {
    return finding('warning', 'acme', `${url} cannot be had: ${describeError(error)}`, remedyOf(name))
  }
}

function remedyOf(name: string): string {
  return `have ${name} and port 80 of it lead here; some routers do not lead their own network there, and it is well nevertheless`
}

async function textAt(url: string): Promise<string> {
  return await new Promise<string>((resolve, reject) => {
    const asked = get(url, { signal: AbortSignal.timeout(answerMillisecondsMax), agent: false }, (response) => {
      let said = ''
      const refuse = (why: string): void => {
        reject(new Error(why))
        asked.destroy()
      }
      if (response.statusCode !== 200) refuse(`status ${response.statusCode}`)
      response.on('data', (chunk: Buffer) => {
        said += chunk.toString('latin1')
        if (said.length > bytesMax) refuse(`more than ${bytesMax} bytes`)
      })
      response.on('error', reject)
      response.on('end', () => resolve(said))
    })
    asked.on('error', reject)
  })
}
