/** One stage of a session: its plug-ins one after the other, until one of them decides.
 *  Knows:  what each command does to the rest of the stage. Never: the session; see session.ts.
 *  Fails:  a plug-in that cannot be run, crashes, prints too much or takes too long refuses this command with 451. */
import { type ByteString, fromText } from '../../../base/byte-string.ts'
import { describeError } from '../../../base/outcome.ts'
import { isAddress } from '../../../contracts/envelope.ts'
import type { Variables } from '../../../contracts/execute.ts'
import { type Command, isTerminating, parseCommand, type SavedFor } from '../../../protocols/spp/command.ts'
import { type PlugIn, plugInName, type Stage } from '../../../protocols/spp/plug-ins.ts'
import { coded, type Reply } from '../../../protocols/smtp/replies.ts'
import type { Executor, RunEnd } from '../../../clients/execute/client.ts'

/** Of one plug-in. An SMTP client waits five minutes for a reply to MAIL or RCPT (RFC 5321 §4.5.3.2). */
const plugInMillisecondsMax = 60_000
const outputBytesMax: number = 64 * 1024
const cannotExecuteCode = 120

/** A plug-in that runs in process: takes the environment, returns commands. */
export type BuiltIn = (environment: Variables, stage: Stage) => Promise<readonly Command[]>

export interface StageTools {
  readonly executor: Executor
  /** By the last part of the path; undefined: it is executed. */
  builtIn(name: ByteString): BuiltIn | undefined
  /** A plug-in of this name would have no effect in such a session, so it need not be run. */
  isIdle?(name: ByteString, environment: Variables): boolean
  /** For tests; undefined: a minute. */
  readonly plugInMillisecondsMax?: number | undefined
}

export type Verdict =
  /** The stage's own checks go on; after `skip-stage` (N) and `off` (A) too. */
  | { readonly kind: 'pass' | 'skip-stage' | 'off' }
  /** O: the stage's own check is skipped as well: badmailfrom at MAIL, rcpthosts at RCPT. */
  | { readonly kind: 'skip-own-checks' }
  /** `before`: continuation lines of the same reply. `refuse-drop` then closes the connection. */
  | { readonly kind: 'refuse' | 'refuse-drop'; readonly reply: Reply; readonly before: readonly ByteString[] }
  | { readonly kind: 'drop' }

export interface Change {
  readonly name: ByteString
  /** Undefined: unset. */
  readonly value: ByteString | undefined
}

/** What one plug-in did, for the log and for `explain`. */
export interface Step {
  readonly check: 'spp'
  readonly plugIn: ByteString
  readonly text: string
}

/** LM, LR, LD: the refusal of a later command. */
export interface SavedError {
  readonly savedFor: SavedFor
  readonly reply: Reply
  readonly plugIn: ByteString
}

export interface StageOutcome {
  readonly verdict: Verdict
  /** P: continuation lines that go before the reply. */
  readonly printed: readonly ByteString[]
  readonly changes: readonly Change[]
  readonly headers: readonly ByteString[]
  readonly saved: readonly SavedError[]
  /** C: replaces the address of this MAIL or RCPT. */
  readonly address: ByteString | undefined
  readonly steps: readonly Step[]
}

export async function runStage(
  tools: StageTools,
  stage: Stage,
  plugIns: readonly PlugIn[],
  environment: Variables,
): Promise<StageOutcome> {
  const course = new Course(stage, environment)
  for (const plugIn of plugIns) {
    course.begin(plugIn)
    const failure = await runPlugIn(tools, course, plugIn)
    course.finish(failure)
    if (course.decided) break
  }
  return course.outcome()
}

/** Undefined, or why it failed. */
async function runPlugIn(tools: StageTools, course: Course, plugIn: PlugIn): Promise<string | undefined> {
  const builtIn = tools.builtIn(plugInName(plugIn) ?? '')
  if (builtIn === undefined) return await execute(tools, course, plugIn)
  try {
    for (const command of await builtIn(course.environment, course.stage)) if (!course.take(command)) break
    return undefined
  } catch (error) {
    course.note(`bug: ${describeError(error)}`)
    return 'child crashed'
  }
}

async function execute(tools: StageTools, course: Course, { kind, program }: PlugIn): Promise<string | undefined> {
  const millisecondsMax = tools.plugInMillisecondsMax ?? plugInMillisecondsMax
  const run = { kind, program, args: [], environment: course.environment, millisecondsMax, outputBytesMax }
  const end = await tools.executor.run(run, (line) => course.take(parseCommand(line)))
  if (end.detail !== '') course.note(`${end.how} ${end.detail}`)
  return failureOf(end)
}

/** qmail-spp's reasons where it has them. */
function failureOf({ how, code }: RunEnd): string | undefined {
  switch (how) {
    case 'enough':
      return undefined
    case 'exit':
      return code === cannotExecuteCode ? "can't execute" : undefined
    case 'not-run':
      return "can't execute"
    case 'signal':
      return 'child crashed'
    case 'deadline':
      return 'timed out'
    case 'output':
      return 'too much output'
    case 'busy':
    case 'lost':
      return 'vfork() failed'
  }
}

class Course {
  readonly stage: Stage
  private variables: Map<ByteString, ByteString>
  /** A plug-in may still use the map: changes of the next one go to a copy, made once for each. */
  private isShared = true
  private readonly addressVariable: ByteString | undefined
  private verdict: Verdict = { kind: 'pass' }
  private readonly printed: ByteString[] = []
  private readonly changes: Change[] = []
  private readonly headers: ByteString[] = []
  private readonly saved: SavedError[] = []
  private address: ByteString | undefined
  private readonly steps: Step[] = []
  private line: ByteString = ''
  private said: string[] = []

  constructor(stage: Stage, environment: Variables) {
    this.stage = stage
    this.variables = new Map(environment)
    this.addressVariable = stage === 'mail' ? 'SMTPMAILFROM' : stage === 'rcpt' ? 'SMTPRCPTTO' : undefined
  }

  get environment(): Variables {
    this.isShared = true
    return this.variables
  }

  get decided(): boolean {
    return this.verdict.kind !== 'pass'
  }

  begin(plugIn: PlugIn): void {
    this.line = plugIn.line
    this.said = []
  }

  note(text: string): void {
    this.said.push(safe(fromText(text)))
  }

  /** False: the plug-in's further output does not count. */
  take(command: Command | undefined): boolean {
    if (command === undefined) return true
    this.said.push(command.kind)
    this.obey(command)
    return !isTerminating(command)
  }

  finish(failure: string | undefined): void {
    if (failure !== undefined) {
      const name = safe(this.line).slice(0, 400)
      const reply = coded(451, '4.3.0', `qmail-spp failure: ${name}: ${failure}`)
      this.verdict = { kind: 'refuse', reply, before: [] }
      this.said.push(failure)
    }
    const text = `spp ${this.stage} ${safe(this.line)}: ${this.said.length === 0 ? 'nothing' : this.said.join(', ')}`
    this.steps.push({ check: 'spp', plugIn: this.line, text })
  }

  outcome(): StageOutcome {
    const { verdict, printed, changes, headers, saved, address, steps } = this
    return { verdict, printed, changes, headers, saved, address, steps }
  }

  private obey(command: Command): void {
    switch (command.kind) {
      case 'accept-off':
        this.verdict = { kind: 'off' }
        break
      case 'next':
        this.verdict = { kind: 'skip-stage' }
        break
      case 'ok':
        this.verdict = { kind: 'skip-own-checks' }
        break
      case 'drop':
        this.verdict = { kind: 'drop' }
        break
      case 'refuse':
      case 'refuse-drop':
        this.verdict = { kind: command.kind, reply: command.reply, before: [] }
        break
      case 'print':
        this.printed.push(continued(command.text))
        break
      case 'save':
        this.saved.push({ savedFor: command.savedFor, reply: command.reply, plugIn: this.line })
        break
      case 'set':
        this.change(command.name, command.value)
        break
      case 'unset':
        this.change(command.name, undefined)
        break
      case 'header':
        // A continuation needs something to continue.
        if (this.headers.length > 0 || !/^[\t ]/.test(command.line)) this.headers.push(command.line)
        break
      case 'address':
        this.replaceAddress(command.address)
        break
    }
  }

  private change(name: ByteString, value: ByteString | undefined): void {
    this.changes.push({ name, value })
    if (value === undefined) this.ownVariables().delete(name)
    else this.ownVariables().set(name, value)
  }

  private ownVariables(): Map<ByteString, ByteString> {
    if (this.isShared) this.variables = new Map(this.variables)
    this.isShared = false
    return this.variables
  }

  private replaceAddress(address: ByteString): void {
    if (this.addressVariable === undefined || !isAddress(address)) return
    this.address = address
    this.ownVariables().set(this.addressVariable, address)
  }
}

/** A reply of several lines is one reply: only its last line has a blank behind the code (RFC 5321 §4.2.1). */
export function continued(line: ByteString): ByteString {
  return `${line.slice(0, 3)}-${line.slice(4)}`
}

export function safe(text: ByteString): string {
  return text.replace(/[^ -~]/g, '?')
}
