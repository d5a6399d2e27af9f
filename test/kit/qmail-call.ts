/** Runs a program of src/programs/qmail in this process, on streams and a queue that are handed in. */
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { done, type Outcome } from '../../src/base/outcome.ts'
import { fromBuffer, toBuffer } from '../../src/base/byte-string.ts'
import type { HandedEnvelope } from '../../src/clients/queue/hand-in.ts'
import { encodeEnvelope } from '../../src/contracts/envelope.ts'
import { type Call, Fatal, type Program, type RunEnd } from '../../src/programs/qmail/call.ts'
import { homeAt } from '../../src/stores/home/layout.ts'

export interface CallSetup {
  readonly name: string
  readonly home?: string
  /** As bytes. */
  readonly args?: readonly string[]
  readonly variables?: Readonly<Record<string, string>>
  readonly input?: string
  readonly now?: number
  readonly pid?: number
  readonly uid?: number
  /** Hears what the queue gets. */
  readonly onEnvelope?: (envelope: HandedEnvelope) => void
  /** What the queue answers. */
  readonly outcome?: Outcome<number>
  /** What other programs do. */
  readonly run?: (command: readonly string[], input: string) => RunEnd
  /** What a checkpassword program does. */
  readonly runCheck?: (command: readonly string[], secret: string) => RunEnd
  /** What the program does that this one becomes. */
  readonly become?: (command: readonly string[], variables: ReadonlyMap<string, string>) => RunEnd
}

export interface CallEnd {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** What the queue got, in qmail-queue's form. */
  readonly envelope: string | undefined
  readonly content: string | undefined
}

export async function callProgram(program: Program, setup: CallSetup): Promise<CallEnd> {
  let stdout = ''
  let stderr = ''
  let envelope: string | undefined
  let content: string | undefined
  let read = 0
  const { now = 0, pid = 1, uid = 1000, outcome = done(7), input = '' } = setup
  const call: Call = {
    name: setup.name,
    args: setup.args ?? [],
    variables: new Map(Object.entries(setup.variables ?? {})),
    pid,
    uid,
    now: () => now,
    home: () => homeAt(setup.home ?? '/no/home'),
    input: () => [toBuffer(input)],
    hasInput: () => read < input.length,
    byte: () => (read < input.length ? input.charCodeAt(read++) : 'end'),
    out: (text) => (stdout += typeof text === 'string' ? text : fromBuffer(text)),
    err: (text) => (stderr += text),
    async enqueue(given, spooled, _, head = '') {
      setup.onEnvelope?.(given)
      envelope = fromBuffer(encodeEnvelope(given))
      content = head + fromBuffer(await buffer(Readable.from(spooled.chunks())))
      return outcome
    },
    run: (command, given) =>
      Promise.resolve(
        setup.run?.(command, [...(given ?? [])].map(fromBuffer).join('')) ?? { kind: 'absent', error: 'ENOENT' },
      ),
    runCheck: (command, secret) =>
      Promise.resolve(setup.runCheck?.(command, secret) ?? { kind: 'absent', error: 'ENOENT' }),
    become: (command, variables) =>
      Promise.resolve(setup.become?.(command, variables) ?? { kind: 'absent', error: 'ENOENT' }),
  }
  let code: number
  try {
    code = await program(call)
  } catch (error) {
    if (!(error instanceof Fatal)) throw error
    stderr += `${error.text}\n`
    code = error.code
  }
  return { code, stdout, stderr, envelope, content }
}
