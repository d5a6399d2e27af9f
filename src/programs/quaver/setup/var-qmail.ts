/** /var/qmail: the places that qmail's programs and books name, as links to where Quaver has them. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Home } from '../../../stores/home/layout.ts'
import { launcherPath } from '../services/services.ts'

/** `boot` and `doc` lead to the documentation, `man` to the manual pages of the machine; where there are none, there is no link. */
export function varQmailLinks(home: Home): readonly { readonly path: string; readonly target: string }[] {
  const prefix = dirname(dirname(dirname(dirname(launcherPath))))
  const documentation = join(prefix, 'share/doc/quaver')
  const targets: readonly (readonly [string, string])[] = [
    ['alias', home.alias],
    ['bin', home.bin],
    ['boot', documentation],
    ['control', home.control],
    ['doc', documentation],
    ['man', join(prefix, 'share/man')],
    ['queue', home.queue],
    ['users', home.users],
  ]
  const isOurs = (target: string): boolean => target.startsWith(`${home.path}/`)
  return targets
    .filter(([, target]) => isOurs(target) || existsSync(target))
    .map(([name, target]) => ({ path: join('/var/qmail', name), target }))
}
