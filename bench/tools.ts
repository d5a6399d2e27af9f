/** The load tools, smtp-source and smtp-sink, and the Postfix beside them. They come from QUAVER_POSTFIX (a tree made by
 *  `dpkg -x`), from an installed Postfix, or are fetched once with apt-get into the temporary directory. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface PostfixTree {
  /** `/` if Postfix is installed. */
  readonly root: string
  readonly version: string
  /** What its programs need in their environment to find their own libraries. */
  readonly env: Readonly<Record<string, string>>
}

const fetchMillisecondsMax = 60_000

export function findPostfix(): PostfixTree | undefined {
  const cache = join(tmpdir(), 'quaver-ci')
  const places = [process.env['QUAVER_POSTFIX'], '/', join(cache, 'postfix')].filter((place) => place !== undefined)
  const found = places.find(hasTools) ?? fetch(cache)
  if (found === undefined) return undefined
  const env = { LD_LIBRARY_PATH: join(found, 'usr/lib/postfix') }
  return { root: found, env, version: versionOf(found, env) }
}

function hasTools(root: string): boolean {
  return existsSync(join(root, 'usr/sbin/smtp-source')) && existsSync(join(root, 'usr/sbin/smtp-sink'))
}

function fetch(cache: string): string | undefined {
  try {
    mkdirSync(cache, { recursive: true })
    const options = { cwd: cache, timeout: fetchMillisecondsMax, stdio: 'ignore' } as const
    execFileSync('apt-get', ['download', '-qq', 'postfix'], options)
    const archive = readdirSync(cache).find((name) => /^postfix_.*\.deb$/.test(name))
    if (archive === undefined) return undefined
    execFileSync('dpkg', ['-x', archive, 'postfix'], options)
    return hasTools(join(cache, 'postfix')) ? join(cache, 'postfix') : undefined
  } catch {
    return undefined
  }
}

function versionOf(root: string, env: Readonly<Record<string, string>>): string {
  try {
    const args = ['-d', '-h', 'mail_version']
    return execFileSync(join(root, 'usr/sbin/postconf'), args, {
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    return 'of unknown version'
  }
}
