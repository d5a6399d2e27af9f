/** sendmail(8) of qmail, with the options that callers of other sendmails use: hands a message in by qmail-inject's rules.
 *  `mailq` and `newaliases` are other names of it. */
import type { ByteString } from '../../base/byte-string.ts'
import type { Params } from '../../contracts/envelope.ts'
import { dsnOfMail, dsnOfRecipient, type KnownParameters } from '../../protocols/smtp/dsn-parameters.ts'
import { type Call, exit, Fatal, type Variables } from './call.ts'
import { inject } from './inject.ts'
import { parseOptions } from './options.ts'

/** qmail's up to `b`; then those of other sendmails, whose queue runs and configurations have no effect here. `-N`, `-R` and
 *  `-V` are kept with the message, as SMTP clients' parameters of reports are (RFC 3461). */
const letters = 'vimte:f:p:o:B:F:EJxb:A:C:D:d:Gh:IL:M:N:nO:q:R:r:sUV:X:'
const usage = 'sendmail: usage: sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]'

export async function sendmail(call: Call): Promise<number> {
  const { options, operands } = parseOptions(separated(call.args), letters, 'sendmail', usage)
  const value = (wanted: string): ByteString | undefined =>
    options.findLast(({ letter }) => wanted.includes(letter))?.value
  const has = (letter: string): boolean => options.some((option) => option.letter === letter)
  const mode = value('b') ?? (call.name === 'mailq' ? 'p' : 'm')
  if (call.name === 'newaliases' || mode === 'i')
    throw new Fatal(exit.permanent, 'sendmail: fatal: please use fastforward/newaliases instead')
  if (mode === 'p') return listQueue(call)
  if (mode === 's') return (await import('./smtp-service.ts')).serveSmtp(call)
  if (mode !== 'm') throw new Fatal(exit.permanent, usage)
  // A queue run: our queue needs none.
  if (has('q') && !has('t') && operands.length === 0) return exit.ok
  const sender = value('fr')
  const args = [has('t') ? '-H' : '-a', ...(sender === undefined ? [] : ['-f', sender]), '--', ...operands]
  const variables = variablesFor(call.variables, sender, value('F'))
  const reports = {
    params: known(dsnOfMail, ['RET', value('R')], ['ENVID', value('V')]),
    recipientParams: known(dsnOfRecipient, ['NOTIFY', value('N')]),
  }
  return inject({ ...call, name: 'qmail-inject', args, variables }, reports)
}

/** Malformed values are ignored, as in SMTP. */
function known(parameters: KnownParameters, ...given: readonly [string, ByteString | undefined][]): Params {
  const params = new Map<string, ByteString>()
  for (const [name, text] of given) {
    const kept = text === undefined ? undefined : parameters.get(name)?.(text)
    if (kept !== undefined) params.set(name, kept)
  }
  return params
}

/** `-q` takes an argument only if it is attached (`-q30m`), which getopt cannot say. */
function separated(args: readonly ByteString[]): readonly ByteString[] {
  const end = args.indexOf('--')
  return args.map((word, at) => (word === '-q' && (end < 0 || at < end) ? '-q0' : word))
}

async function listQueue(call: Call): Promise<number> {
  const { qread } = await import('./qread.ts')
  return qread({ ...call, name: 'qmail-qread', args: [] })
}

/** Puts the sender in From as well, whatever names and hosts the environment has. */
function variablesFor(variables: Variables, sender: ByteString | undefined, name: ByteString | undefined): Variables {
  const changed = new Map(variables)
  if (name !== undefined) changed.set('MAILNAME', name)
  if (sender === undefined) return changed
  for (const one of ['QMAILNAME', 'MAILNAME', 'NAME', 'QMAILHOST', 'MAILHOST']) changed.delete(one)
  const at = sender.lastIndexOf('@')
  changed.set('QMAILUSER', at < 0 ? sender : sender.slice(0, at))
  if (at >= 0) changed.set('QMAILHOST', sender.slice(at + 1))
  return changed
}
