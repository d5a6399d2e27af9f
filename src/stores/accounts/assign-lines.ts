/** The lines of users/assign that make an account. */
import { join, relative } from 'node:path'

/** Whose mail it is: an account of the machine, by name and numbers. */
export interface AssignOwner {
  readonly user: string
  readonly uid: number
  readonly gid: number
}

/** The address itself first; then its extensions, after `-` as in qmail and after `+` as everywhere else. */
export function accountLines(key: string, owner: AssignOwner, directory: string): string[] {
  const fields = `${owner.user}:${owner.uid}:${owner.gid}:${directory}`
  return [aliasLine(key, owner, directory), `+${key}-:${fields}:-::`, `+${key}+:${fields}:+::`]
}

/** One more address of a mailbox. */
export function aliasLine(key: string, owner: AssignOwner, directory: string): string {
  return `=${key}:${owner.user}:${owner.uid}:${owner.gid}:${directory}:::`
}

/** What is there, without its end and without the lines of one key. */
export function withoutKey(assign: string, key: string): string[] {
  const own = [`=${key}:`, `+${key}-:`, `+${key}+:`]
  return assignBody(assign).filter((line) => !own.some((start) => line.toLowerCase().startsWith(start)))
}

export interface FoundAccount extends AssignOwner {
  readonly local: string
  readonly domain: string
  readonly directory: string
}

/** Undefined for a line that is no account of a mailbox below `mail`: such lines belong to the administrator. */
export function readAccountLine(line: string, mail: string): FoundAccount | undefined {
  if (!line.startsWith('=')) return undefined
  const [key, user, uid, gid, directory] = line.slice(1).split(':')
  if (key === undefined || user === undefined || directory === undefined) return undefined
  const [domain, local, ...deeper] = relative(mail, directory).split('/')
  if (domain === undefined || local === undefined || deeper.length > 0 || key !== `${domain}-${local}`) return undefined
  return { local, domain, user, uid: Number(uid), gid: Number(gid), directory: join(mail, domain, local) }
}

/** The lines before the one that begins with a dot, which ends the file. */
function assignBody(assign: string): string[] {
  const lines = assign.split('\n')
  const end = lines.findIndex((line) => line.startsWith('.'))
  return (end === -1 ? lines : lines.slice(0, end)).filter((line) => line !== '')
}
