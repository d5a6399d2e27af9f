/** What `quaver control check` finds in users/assign, in the mailboxes that it names, and in our own aliases.
 *  Fails:  files that the caller may not read are skipped; root sees all. */
import { readFileSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import { type ByteString, fromBuffer, lowerAscii, toText } from '../../base/byte-string.ts'
import { contentLines } from '../../protocols/qmail/control-format.ts'
import { parseAssign } from '../../protocols/qmail/users-assign.ts'
import { absentTargets, listAliases } from '../../stores/accounts/aliases.ts'
import { earlierMail, movedRemedy } from '../../stores/accounts/assign-lines.ts'
import { readSite } from '../../stores/accounts/site-files.ts'
import type { Control } from '../../stores/control/control.ts'
import { type Finding, inspectLineEnds } from '../../stores/control/inspect.ts'
import type { Home } from '../../stores/home/layout.ts'
import { accessFault, type Reader } from '../../system/access.ts'
import { errorCode, realFiles } from '../../system/files.ts'

const file = 'users/assign'

/** `ofDemo`: uid 0 may receive mail there. */
export function inspectAssign(home: Home, control: Control, ofDemo: boolean): Finding[] {
  const path = join(home.users, 'assign')
  const text = textOf(path)
  if (text === undefined) return []
  const parsed = parseAssign(text)
  if (!parsed.ok)
    return [
      {
        file,
        line: parsed.line,
        fault: `${parsed.reason}: the file is not taken`,
        remedy: 'mend it: quaver account compile',
      },
    ]
  const findings = inspectLineEnds(text, file)
  const seen = new Map<ByteString, number>()
  for (const { line, text: written } of contentLines(text)) {
    if (written.startsWith('.')) break
    const [, user = '', uid = '', gid = '', directory = '', dash = ''] = written.split(':')
    if (![uid, gid].every((id) => /^[0-9]{1,10}$/.test(id) && Number(id) < 0xffff_ffff))
      findings.push({
        file,
        line,
        fault: 'has a uid or gid that is no number: its mail waits',
        remedy: `id ${toText(user)}`,
      })
    else if (Number(uid) === 0 && !ofDemo)
      findings.push({ file, line, fault: 'gives mail to uid 0, which receives none', remedy: 'name another account' })
    else if (written.startsWith('=') && dash === '') {
      const fault =
        movedFault(home, written) ??
        mailboxFault(
          toText(directory),
          { account: toText(user), uid: Number(uid), gid: Number(gid) },
          control.line('defaultdelivery'),
        )
      if (fault !== undefined) findings.push({ file, line, ...fault })
    }
    const key = lowerAscii(written.slice(0, written.indexOf(':')))
    const first = seen.get(key)
    if (first === undefined) seen.set(key, line)
    else findings.push({ file, line, fault: `has the key of line ${first}, which counts`, remedy: 'keep one of them' })
  }
  const [source, cdb] = [path, join(home.users, 'cdb')].map((one) => factsOf(one)?.mtimeMs)
  if (source !== undefined && (cdb === undefined || source > cdb))
    findings.push({ file, line: undefined, fault: 'is not compiled as it is now', remedy: 'quaver account compile' })
  return findings
}

/** A home that was copied would deliver into the mailboxes of the other. */
function movedFault(home: Home, line: string): Omit<Finding, 'file' | 'line'> | undefined {
  const before = earlierMail(line, home.mail)
  if (before === undefined || isSame(before, home.mail)) return undefined
  const fault = `has the mailbox of an account in ${before}, which is not of this home`
  return { fault, remedy: movedRemedy(before, home) }
}

/** By two names. */
function isSame(one: string, other: string): boolean {
  const [first, second] = [factsOf(one), factsOf(other)]
  return first !== undefined && first.ino === second?.ino && first.dev === second.dev
}

/** Faults of a mailbox of the default delivery. Others are their owner's to check. */
function mailboxFault(
  directory: string,
  owner: Reader & { readonly uid: number },
  defaultDelivery: ByteString,
): Omit<Finding, 'file' | 'line'> | undefined {
  const { uid } = owner
  const home = lookAt(directory)
  if (home === 'hidden') return undefined
  if (home === 'absent')
    return {
      fault: `has the home ${directory}, which does not exist: mail waits`,
      remedy: `mount what holds it, or make it: install -d -o ${uid} -m 700 ${directory}`,
    }
  const ownWay = lookAt(join(directory, '.qmail'))
  if (!defaultDelivery.startsWith('./') || !defaultDelivery.endsWith('/')) return undefined
  if (ownWay === 'hidden' || (ownWay !== 'absent' && ownWay.size > 0)) return undefined
  const maildir = join(directory, toText(defaultDelivery))
  const makeIt = `install -d -o ${uid} -m 700 ${[maildir, ...['cur', 'new', 'tmp'].map((one) => join(maildir, one))].join(' ')}`
  for (const part of ['', 'cur', 'new', 'tmp']) {
    const found = lookAt(join(maildir, part))
    if (found === 'hidden') return undefined
    if (found === 'absent' || !found.isDirectory())
      return { fault: `leads to the Maildir ${maildir}, which is not there, or not whole: mail waits`, remedy: makeIt }
    if (found.uid !== uid && (found.mode & 0o002) === 0)
      return {
        fault: `leads to the Maildir ${maildir}, which belongs to uid ${found.uid} and not to ${uid}: mail waits`,
        remedy: `chown -R ${uid} ${maildir}`,
      }
  }
  const closed = accessFault(join(maildir, 'new'), owner, 'read')
  return closed && { ...closed, fault: `leads to the Maildir ${maildir}, which ${closed.fault}: mail waits` }
}

/** Aliases of hosted domains that lead to an address here that does not exist. */
export async function inspectOwnAliases(home: Home): Promise<Finding[]> {
  try {
    const site = await readSite(realFiles, home)
    return (await listAliases(realFiles, home)).flatMap(({ address, targets }) =>
      absentTargets(site, targets).map((target) => ({
        file,
        line: undefined,
        fault: `has the alias ${address}, which leads to ${toText(target)}, whom nobody is: that mail bounces`,
        remedy: `quaver account add ${toText(target)}, or quaver alias remove ${address} ${toText(target)}`,
      })),
    )
  } catch {
    // The check of the file's text reports the fault.
    return []
  }
}

/** `hidden`: the caller may not see it. */
function lookAt(path: string): Stats | 'absent' | 'hidden' {
  try {
    return statSync(path)
  } catch (error) {
    return errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR' ? 'absent' : 'hidden'
  }
}

function factsOf(path: string): Stats | undefined {
  const found = lookAt(path)
  return found === 'absent' || found === 'hidden' ? undefined : found
}

function textOf(path: string): ByteString | undefined {
  try {
    return fromBuffer(readFileSync(path))
  } catch {
    return undefined
  }
}
