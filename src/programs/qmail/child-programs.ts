/** Programs that run another one and decide by its exit code: bouncesaying(1), except(1), preline(1). */
import type { ByteString } from '../../base/byte-string.ts'
import { errnoText, isTemporaryErrno } from '../../protocols/qmail/errno-text.ts'
import { type Call, exit, Fatal } from './call.ts'
import { type ParsedOptions, parseOptions } from './options.ts'
import { withHead } from './send.ts'

/** The exit code. Throws Fatal 111 for temporary failures. */
export async function runChild(call: Call, command: readonly ByteString[]): Promise<number> {
  const prefix = `${call.name}: fatal: `
  const end = await call.run(command)
  if (end.kind === 'crash') throw new Fatal(exit.temporary, `${prefix}child crashed`)
  // As a failed execvp in qmail's child: permanent, unless the error is temporary.
  const code = end.kind === 'exit' ? end.code : isTemporaryErrno(end.error) ? exit.temporary : exit.permanent
  if (code === exit.temporary) throw new Fatal(exit.temporary, `${prefix}temporary child error`)
  return code
}

export async function bouncesaying(call: Call): Promise<number> {
  const [text, ...command] = call.args
  if (text === undefined)
    throw new Fatal(exit.permanent, 'bouncesaying: usage: bouncesaying error [ program [ arg ... ] ]')
  if (command.length > 0 && (await runChild(call, command)) !== 0) return exit.ok
  throw new Fatal(exit.permanent, text)
}

export async function except(call: Call): Promise<number> {
  if (call.args.length === 0) throw new Fatal(exit.permanent, 'except: usage: except program [ arg ... ]')
  return (await runChild(call, call.args)) === 0 ? exit.permanent : exit.ok
}

/** By letter; the capital one asks for it again. */
const lines = { f: 'UFLINE', r: 'RPLINE', d: 'DTLINE' } as const

export async function preline(call: Call): Promise<number> {
  const prefix = 'preline: fatal: '
  const usage = 'preline: usage: preline cmd [ arg ... ]'
  const { options, operands } = readOptions(call, usage)
  const [program] = operands
  // All three variables are required, whatever the options.
  if (program === undefined || Object.values(lines).some((name) => !call.variables.has(name)))
    throw new Fatal(exit.permanent, usage)
  const head = Object.entries(lines).map(([letter, name]) => {
    const last = options.findLast((option) => option.letter.toLowerCase() === letter)
    return last?.letter === letter ? '' : (call.variables.get(name) ?? '')
  })
  const end = await call.run(operands, withHead(head.join(''), call.input()))
  if (end.kind === 'crash') throw new Fatal(exit.temporary, `${prefix}child crashed`)
  if (end.kind === 'exit') return end.code
  const code = isTemporaryErrno(end.error) ? exit.temporary : exit.permanent
  throw new Fatal(code, `${prefix}unable to run ${program}: ${errnoText(end.error)}`)
}

/** For an unknown option preline prints only its usage. */
function readOptions(call: Call, usage: string): ParsedOptions {
  try {
    return parseOptions(call.args, 'frdFRD', 'preline')
  } catch (error) {
    throw error instanceof Fatal ? new Fatal(exit.permanent, usage) : error
  }
}
