/** What of a qmail's home moves into ours: control, users and alias as they are. Files that would mean something else here are
 *  rewritten to mean the same; these changes, and files left behind, are listed.
 *  Never:  writes. Fails: throws if the directory is no qmail's home. */
import { lstatSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fromBuffer, toText } from '../../base/byte-string.ts'
import { parseLine, parseNumber } from '../../protocols/qmail/control-format.ts'
import { parseAssign } from '../../protocols/qmail/users-assign.ts'
import { quantityOf } from '../control/content.ts'
import type { ControlFile } from '../control/form.ts'
import { controlFiles } from '../control/table.ts'
import { pathOf } from '../../system/quick-files.ts'
import { type FoundFile, filesBelow, readFound } from './found-files.ts'

export interface HomeMove {
  readonly found: FoundFile
  /** Below the home. */
  readonly to: string
  /** Written instead of the file's content. */
  readonly instead: string | undefined
}

export interface HomePlan {
  readonly moves: readonly HomeMove[]
  /** What differs from before, in sentences. */
  readonly changes: readonly string[]
  /** What stays where it is, and why. */
  readonly left: readonly string[]
  /** What must be mended first. */
  readonly faults: readonly string[]
  readonly assignLines: number
}

/** qmail-start's default delivery. */
const qmailDelivery = './Mailbox'
const certificatePem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const keyPem = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[^-]+-----END (?:[A-Z]+ )?PRIVATE KEY-----/

export function planHome(source: string): HomePlan {
  if (!isDirectory(join(source, 'control')))
    throw new Error(`${source} is no home of a qmail: there is no directory control in it`)
  const planning = new Planning(source)
  planning.control()
  planning.users()
  planning.alias()
  planning.rest()
  return planning
}

class Planning implements HomePlan {
  readonly moves: HomeMove[] = []
  readonly changes: string[] = []
  readonly left: string[] = []
  readonly faults: string[] = []
  assignLines = 0
  private readonly source: string

  constructor(source: string) {
    this.source = source
  }

  control(): void {
    const present = new Set<string>()
    for (const found of this.filesOf('control')) {
      present.add(found.name)
      if (found.kind === 'directory') this.moves.push({ found, to: `control/${found.name}`, instead: undefined })
      else if (found.name === 'servercert.pem') this.certificate(found)
      else this.moves.push({ found, to: `control/${found.name}`, instead: this.written(found) })
    }
    if (!present.has('me'))
      this.faults.push(`${this.source}/control/me does not exist: write the host's name there, as qmail needs it too`)
    if (!present.has('rcpthosts'))
      this.changes.push(
        'control/rcpthosts does not exist: qmail-smtpd took mail for every domain, Quaver takes it for none from strangers',
      )
    if (present.has('domainkeys'))
      this.changes.push(
        'control/domainkeys moves, and signs nothing before control/dkimdomains has a line DOMAIN:SELECTOR for each key',
      )
    if (!present.has('defaultdelivery')) this.defaultDelivery()
  }

  users(): void {
    const files = this.filesOf('users')
    const assign = files.find(({ name }) => name === 'assign')
    if (assign !== undefined) {
      const text = fromBuffer(readFound(assign))
      const parsed = parseAssign(text)
      if (parsed.ok) this.assignLines = parsed.records.length - 1
      else
        this.faults.push(`${this.source}/users/assign line ${parsed.line} ${parsed.reason}: qmail-newu refuses it too`)
      const cdb = files.find(({ name }) => name === 'cdb')
      if ((assign.modifiedMs ?? 0) > (cdb?.modifiedMs ?? Number.POSITIVE_INFINITY))
        this.changes.push(
          'users/assign was changed after qmail-newu made users/cdb of it: what it says now counts here',
        )
    } else if (files.some(({ name }) => name === 'cdb'))
      this.changes.push(
        'users/cdb moves as it is, and users/assign, of which it was made, is not there: accounts cannot be changed until it is',
      )
    for (const found of files) {
      // The cdb is compiled anew from assign.
      if (found.name === 'cdb' && assign !== undefined) continue
      this.moves.push({ found, to: `users/${found.name}`, instead: undefined })
    }
  }

  alias(): void {
    for (const found of this.filesOf('alias')) this.moves.push({ found, to: `alias/${found.name}`, instead: undefined })
  }

  rest(): void {
    const own = ['bin', 'boot', 'doc', 'man', 'rc', 'supervise'].filter((name) => isThere(join(this.source, name)))
    if (own.length > 0) this.left.push(`${own.join(', ')}: qmail's own programs and papers; Quaver has its own`)
    const old = ['/etc/qmail/tcp.smtp', '/etc/tcp.smtp'].filter((path) => isThere(path))
    if (old.length > 0)
      this.changes.push(`${old.join(', ')}: 'quaver start' takes them as control/tcprules/smtp where there is none`)
  }

  /** A link in control/ or users/ is its administrator's way of keeping the file elsewhere; one in alias/ stays a link. */
  private filesOf(name: string): FoundFile[] {
    const { files, skipped } = filesBelow(join(this.source, name))
    this.left.push(...skipped.map(({ path, why }) => `${name}/${toText(path)} ${why}`))
    if (name === 'alias') return files
    return files.flatMap((found) => {
      if (found.kind !== 'link') return [found]
      const target = targetOf(found)
      if (target === undefined) this.left.push(`${name}/${toText(found.name)} is a link that leads to no file`)
      return target === undefined ? [] : [target]
    })
  }

  /** A number as qmail reads it: only its leading digits. */
  private written(found: FoundFile): string | undefined {
    const row: ControlFile | undefined = Object.hasOwn(controlFiles, found.name)
      ? controlFiles[found.name as keyof typeof controlFiles]
      : undefined
    if (row?.form !== 'number') return undefined
    const text = fromBuffer(readFound(found))
    const digits = /^[0-9]{1,15}/.exec(parseLine(text))?.[0]
    const file = `control/${found.name}`
    if (digits === undefined) {
      this.changes.push(`${file} has no number, for which qmail takes its default: '${row.fallback}' counts here`)
      return `${row.fallback}\n`
    }
    if (parseNumber(text, quantityOf(row)) === Number(digits)) return undefined
    this.changes.push(
      `${file}: of ${JSON.stringify(toText(parseLine(text)))} qmail reads ${digits}, which is what is written`,
    )
    return `${digits}\n`
  }

  private defaultDelivery(): void {
    const rc = join(this.source, 'rc')
    const text = isThere(rc) ? fromBuffer(readFound({ ...noFile, path: rc })) : ''
    const given = /\bqmail-start\s+(?:'([^'\n]+)'|"([^"`$\n]+)"|([./][^\s\\'"`$|&;]*))/.exec(text)
    const instruction = (given?.[1] ?? given?.[2] ?? given?.[3] ?? qmailDelivery).trim()
    const from = given === null ? "qmail's default" : 'what rc gives qmail-start'
    this.changes.push(`control/defaultdelivery is written: ${instruction}, ${from}; Quaver's own is ./Maildir/`)
    this.moves.push({
      found: { ...noFile, name: 'defaultdelivery' },
      to: 'control/defaultdelivery',
      instead: `${instruction}\n`,
    })
  }

  private certificate(found: FoundFile): void {
    const text = fromBuffer(readFound(found))
    const key = keyPem.exec(text)?.[0]
    const chain = text.match(certificatePem)
    if (key === undefined || chain === null) {
      this.left.push(
        'control/servercert.pem: a certificate and its key are not both in it; see tls/cert.pem and tls/key.pem',
      )
      return
    }
    this.moves.push({ found: { ...found, mode: 0o644 }, to: 'tls/cert.pem', instead: `${chain.join('\n')}\n` })
    this.moves.push({ found: { ...found, mode: 0o600 }, to: 'tls/key.pem', instead: `${key}\n` })
    this.changes.push('control/servercert.pem becomes tls/cert.pem and tls/key.pem')
  }
}

/** The target of a link, if that is a file. */
function targetOf(link: FoundFile): FoundFile | undefined {
  const facts = statSync(pathOf(link.path), { throwIfNoEntry: false })
  if (facts?.isFile() !== true) return undefined
  const path = realpathSync(pathOf(link.path), 'buffer').toString('latin1')
  return { ...link, path, kind: 'file', mode: facts.mode & 0o7777, uid: facts.uid, gid: facts.gid }
}

const noFile: FoundFile = { name: '', path: '', kind: 'file', mode: 0o644, uid: 0, gid: 0, modifiedMs: undefined }

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
