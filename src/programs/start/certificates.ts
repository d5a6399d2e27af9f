/** Answers acme on run/start-certificates.sock: a request made with the key of HOME/tls, and a chain put in place there.
 *  tls-watch then notices it like any other change.
 *  Knows:  the names, from control/acmenames and mtasts: acme may leave out only optional ones. Never: reveals a key.
 *  Fails:  with a refusal whose text is for the administrator. */
import { lowerAscii, toText } from '../../base/byte-string.ts'
import { describeError } from '../../base/outcome.ts'
import {
  type CertificateAnswer,
  type CertificateQuestion,
  certifiedNamesMax,
  chainBytesMax,
  decodeCertificateQuestion,
  encodeCertificateAnswer,
} from '../../contracts/certificates.ts'
import { policyHost } from '../../protocols/mta-sts/published-policy.ts'
import { Control } from '../../stores/control/control.ts'
import { certificateRequest, installChain } from '../../stores/home/certified-pair.ts'
import type { Home } from '../../stores/home/layout.ts'
import type { Bound } from '../../system/bind.ts'
import type { Clock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { FrameServer } from '../../system/frame-server.ts'
import type { Screen } from './screen.ts'

/** A chain and the other fields of its frame. */
const questionBytesMax: number = chainBytesMax + 1024

export function serveCertificates(
  bound: Bound,
  home: Home,
  clock: Clock,
  screen: Pick<Screen, 'note' | 'trouble'>,
): void {
  let last = Promise.resolve()
  const server = new FrameServer((onConnection) => bound.serve(onConnection), {
    socket: 'start-certificates',
    purpose: 'certificates',
    clock,
    log: (line) => screen.trouble(line.replace(/^warning: /, '')),
    frameBytesMax: questionBytesMax,
    accept: (connection) => ({
      onFrame: (frame) => {
        const question = decodeCertificateQuestion(frame)
        // One after another, since each reads the files and then writes.
        last = last
          .then(() => answer(question, home, clock, screen))
          .then((answered) => connection.send(encodeCertificateAnswer(answered)))
          // The asker may be gone; later questions are still answered.
          .catch((error: unknown) => screen.trouble(`start-certificates: ${describeError(error)}`))
      },
      onClose: () => undefined,
    }),
  })
  void server.listening()
}

async function answer(
  question: CertificateQuestion,
  home: Home,
  clock: Clock,
  screen: Pick<Screen, 'note'>,
): Promise<CertificateAnswer> {
  const { ref } = question
  try {
    const { needed, optional } = certifiedNames(home, clock)
    if (question.kind === 'ask') {
      const wanted = optional.filter((name) => !question.without.includes(name))
      const request = await certificateRequest(realFiles, home.tls, [...needed, ...wanted])
      return { kind: 'request', ref, ...request, optional: wanted }
    }
    await installChain(realFiles, home.tls, { names: needed, chainPem: question.chainPem, now: clock.now() })
    screen.note(`TLS: a certificate of the authority for ${needed.join(', ')} is in ${home.tls}`)
    return { kind: 'installed', ref }
  } catch (error) {
    return { kind: 'refused', ref, why: describeError(error) }
  }
}

/** Read anew each time, a few times a day. Host names for MTA-STS policies are optional: one domain's DNS must not block the
 *  certificate of the others. */
function certifiedNames(home: Home, clock: Clock): { readonly needed: string[]; readonly optional: string[] } {
  const control = new Control(home.control, clock)
  const unread = control.unread('start')
  if (unread.length > 0) throw new Error(unread.join('; '))
  const needed = [...new Set((control.list('acmenames') ?? []).map((name) => toText(lowerAscii(name))))]
  const domains = [...(control.map('mtasts')?.keys() ?? [])]
  const optional = domains.map((domain) => policyHost(toText(domain))).filter((name) => !needed.includes(name))
  return { needed, optional: optional.slice(0, Math.max(0, certifiedNamesMax - needed.length)) }
}
