/** Whether a prefix of local parts, as control/virtualdomains makes it, has an owner: by users/assign, as an account of the
 *  machine, or in alias/.
 *  Fails:  if files cannot be read, the prefix counts as owned. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ByteString, fromBuffer, lowerAscii, toText } from '../../base/byte-string.ts'
import { assignBody, keyIn } from '../../stores/accounts/assign-lines.ts'
import type { Home } from '../../stores/home/layout.ts'
import { errorCode } from '../../system/files.ts'
import type { FindAccount } from './surroundings.ts'

/** Each lookup may cost a process. Beyond this number every name counts as an account of the machine. */
const usersAskedMax = 100

export class MailOwners {
  private readonly keys: readonly string[] | undefined
  private readonly aliases: readonly string[] | undefined
  private readonly users = new Map<string, boolean>()

  /** `find` is undefined where accounts of the machine get no mail: in a demo. */
  static async of(home: Home, prepends: readonly ByteString[], find: FindAccount | undefined): Promise<MailOwners> {
    const owners = new MailOwners(home)
    const words = prepends.filter((word) => !owners.isWritten(word)).flatMap(startsOf)
    if (find === undefined) return owners
    for (const word of new Set(words)) {
      const isAsked = owners.users.size < usersAskedMax
      owners.users.set(word, !isAsked || (await find(toText(word)).catch(() => true)) !== undefined)
    }
    return owners
  }

  private constructor(home: Home) {
    const assign = orAbsent(() => fromBuffer(readFileSync(join(home.users, 'assign'))), '')
    this.keys = assign === undefined ? undefined : assignBody(assign).map((line) => line.slice(0, 1) + keyIn(line))
    this.aliases = orAbsent(() => readdirSync(home.alias), [])
  }

  has(prepend: ByteString): boolean {
    return this.isWritten(prepend) || startsOf(prepend).some((word) => this.users.get(word) === true)
  }

  private isWritten(prepend: ByteString): boolean {
    if (this.keys === undefined || this.aliases === undefined) return true
    const prefix = `${lowerAscii(prepend)}-`
    const isAssigned = this.keys.some((key) => {
      return key.slice(1).startsWith(prefix) || (key.startsWith('+') && prefix.startsWith(key.slice(1)))
    })
    const names = this.aliases.map((name) => name.slice('.qmail-'.length))
    const safe = prefix.replaceAll('.', ':')
    const isFallback = (name: string): boolean =>
      name.endsWith('default') && safe.startsWith(name.slice(0, -'default'.length))
    return isAssigned || names.some((name) => name.startsWith(safe) || isFallback(name))
  }
}

/** The word, and what of it stands before each dash: names that delivery looks for. */
function startsOf(word: ByteString): ByteString[] {
  const parts = lowerAscii(word).split('-')
  return parts.map((_, at) => parts.slice(0, at + 1).join('-'))
}

/** Undefined: unknown. */
function orAbsent<T>(look: () => T, absent: T): T | undefined {
  try {
    return look()
  } catch (error) {
    return errorCode(error) === 'ENOENT' ? absent : undefined
  }
}
