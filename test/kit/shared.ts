/** The material that tests share with other projects: vectors measured from a stock build, and suites of hostile input.
 *  It lives beside the repository, or where QUAVER_SHARED says. A test that needs it and finds nothing skips visibly. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const root = process.env['QUAVER_SHARED'] ?? join(dirname(repository), 'shared')

/** Undefined if it is not there. */
export function sharedPath(...parts: string[]): string | undefined {
  const path = join(root, ...parts)
  return existsSync(path) ? path : undefined
}

/** A JSON file of that material, as the caller believes it to be; undefined if it is not there. */
export function sharedJson<T>(...parts: string[]): T | undefined {
  const path = sharedPath(...parts)
  return path === undefined ? undefined : (JSON.parse(readFileSync(path, 'utf8')) as T)
}

/** For `{ skip }` of a test: false where the material is there. */
export function skipWithout(...parts: string[]): string | false {
  return sharedPath(...parts) === undefined ? `no ${parts.join('/')} (set QUAVER_SHARED)` : false
}
