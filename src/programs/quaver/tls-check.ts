/** HOME/tls for `quaver control check`: unusable pairs, and faulty certificates. A home without any is valid: it has no logins.
 *  Fails:  files that the caller may not read are skipped; root sees all. */
import { accessSync, constants, existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { causes } from '../../contracts/troubles.ts'
import type { Finding } from '../../stores/control/inspect.ts'
import { certificateTroubles } from '../../stores/home/certificate-troubles.ts'
import type { Home } from '../../stores/home/layout.ts'
import { namedTlsDirectories, readTls, type TlsPair, tlsPaths } from '../../stores/home/tls-files.ts'

export async function inspectTls(home: Home, ownName: string | undefined, now: number): Promise<Finding[]> {
  const findings: Finding[] = []
  const pairs = new Map<string, TlsPair>()
  const name = (path: string): string => relative(home.path, path)
  for (const directory of [home.tls, ...(await namedTlsDirectories(home.tls))]) {
    const { certificate, key } = tlsPaths(directory)
    if (!isOpen(certificate) || !isOpen(key)) continue
    const state = await readTls(directory)
    if (state.kind === 'pair') pairs.set(directory, state.pair)
    else if (state.kind === 'faulty')
      findings.push(finding(name(certificate), state.fault, causes['certificate-faulty'].remedy(directory)))
    else if (directory === home.tls && isAwaited(home) && !existsSync(certificate)) continue
    else if (existsSync(certificate) || existsSync(key)) {
      const [missing, other] = existsSync(key) ? [certificate, key] : [key, certificate]
      const fault = `does not exist, and ${name(other)} is nothing without it`
      findings.push(finding(name(missing), fault, causes['certificate-missing'].remedy(directory)))
    }
  }
  for (const { kind, where, text } of certificateTroubles(pairs, ownName, now)) {
    const { title, remedy } = causes[kind]
    findings.push(finding(name(tlsPaths(where).certificate), `${title}: ${text}`, remedy(where)))
  }
  return findings
}

/** The key is there first; 'quaver tls status' says how far the authority is. */
function isAwaited(home: Home): boolean {
  return existsSync(join(home.control, 'acme'))
}

function finding(file: string, fault: string, remedy: string): Finding {
  return { file, line: undefined, fault, remedy }
}

/** Or not there. */
function isOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}
