/** `quaver dmarc explain`: asks the running policy about a saved message, and prints every step. */
import net from 'node:net'
import { existsSync, statSync } from 'node:fs'
import { type ByteString, fromBuffer, fromText, toBuffer } from '../../base/byte-string.ts'
import { BodyDigests } from '../../clients/policy/body-digests.ts'
import { PolicyClient } from '../../clients/policy/policy-client.ts'
import type { AuthAnswer } from '../../contracts/policy.ts'
import { type AuthQuestion, authHeaderBytesMax } from '../../contracts/policy-auth.ts'
import { headerFields, valueOf } from '../../protocols/dkim/header-fields.ts'
import { disposition, readDmarcAction } from '../../protocols/dmarc/disposition.ts'
import { HeaderAndBody } from '../../protocols/rfc822/header-and-body.ts'
import { Control } from '../../stores/control/control.ts'
import { type Home, socketPath } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { readSmallFile } from '../../system/files.ts'
import { connectPath } from '../../system/frame-connection.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { CommandError, exitCode } from './exit.ts'
import { harmless, print, printJson, styled } from './output.ts'

interface DmarcOptions extends GlobalOptions {
  readonly ip?: string
  readonly helo: string
  readonly from?: string
}

const fileBytesMax: number = 256 * 1024 * 1024

export async function explain(path: string, options: DmarcOptions): Promise<void> {
  const { ip = '', helo, from } = options
  if (ip !== '' && net.isIP(ip) === 0) throw new CommandError(`--ip ${ip} is no IP address`, exitCode.usage)
  const home = requireHome(options)
  const { header, bodies } = readMessage(path)
  const sender = from === undefined ? returnPath(header) : fromText(from)
  const client = { ip, helo: fromText(helo), sender, refuseOpenPass: false }
  const answer = await ask(home, { ...client, header, bodies, explain: true })
  const outcome = outcomeOf(home, answer, sender)
  if (answer.dmarc === 'fail' || answer.dmarc === 'permerror') process.exitCode = exitCode.failed
  if (options.json === true) {
    const { spf, signatures, skipped, dmarc, author, policy, thoughts } = answer
    return printJson({ spf, signatures, skipped, dmarc, author, policy, thoughts, outcome })
  }
  for (const thought of answer.thoughts) {
    const colon = thought.indexOf(': ')
    print(`${styled('bold', thought.slice(0, colon).padEnd(6))} ${harmless(thought.slice(colon + 2))}`)
  }
  if (ip === '') print(styled('dim', 'SPF is not checked: --ip says where the message came from'))
  print(`here: ${outcome}`)
}

/** By the rules of this home; whether a forwarder is trusted depends on a client that is not here. */
function outcomeOf(home: Home, answer: AuthAnswer, sender: ByteString): string {
  const most = readDmarcAction(new Control(home.control, realClock).line('dmarcaction'))
  const knowledge = { isTrusted: false, isFromList: answer.isFromList, isBounce: sender === '' }
  const { action, why } = disposition({ ...answer, result: answer.dmarc }, most, knowledge)
  const words = {
    none: 'taken as any other',
    quarantine: 'kept apart (.Junk, where there is one)',
    reject: 'refused',
  } as const
  return `${words[action]}: ${why}`
}

async function ask(home: Home, question: AuthQuestion): Promise<AuthAnswer> {
  const path = socketPath(home, 'policy')
  if (!existsSync(path))
    throw new CommandError(`policy does not run on the home ${home.path}: start Quaver there ('quaver status')`)
  const client = new PolicyClient(() => connectPath(path), realClock)
  const answered = await client.auth(question)
  client.close()
  if (answered.answered) return answered.answer
  throw new CommandError(`policy does not answer: ${answered.why}`, exitCode.temporary)
}

function readMessage(path: string): Pick<AuthQuestion, 'header' | 'bodies'> {
  const size = statSync(path, { throwIfNoEntry: false })?.size
  if (size !== undefined && size > fileBytesMax)
    throw new CommandError(`${path}: ${size} bytes; messages up to ${fileBytesMax} are evaluated`)
  const found = readSmallFile(path, fileBytesMax)
  if (found === undefined) throw new CommandError(`${path}: there is no such file`, exitCode.usage)
  let header = ''
  let digests = new BodyDigests([])
  const message = new HeaderAndBody({
    header(text) {
      header = text
      digests = new BodyDigests(headerFields(text))
    },
    body: (bytes) => digests.push(bytes),
  })
  message.push(toBuffer(fromBuffer(found).replaceAll('\r\n', '\n')))
  message.end()
  if (header.length > authHeaderBytesMax)
    throw new CommandError(`${path}: a header of ${header.length} bytes; up to ${authHeaderBytesMax} are evaluated`)
  return { header, bodies: digests.finish() }
}

function returnPath(header: ByteString): ByteString {
  const field = headerFields(header).find(({ name }) => name === 'return-path')
  return field === undefined ? '' : (/<([^<>]*)>/.exec(valueOf(field))?.[1] ?? '')
}
