/** How tests start Quaver's programs: from bundles that a whole run makes once, because those start in two thirds of the
 *  time, and from the sources where a test file is run by itself. */
import { join } from 'node:path'
import { nodeFlags, plainNodeFlags } from '../../src/system/node-flags.ts'

export const root: string = join(import.meta.dirname, '../..')
/** Set by test/run.ts: lib/quaver of an installed tree. */
const built = process.env['QUAVER_TEST_TREE']

/** Of what is tested: the `quaver` command. */
export const launcher: string = join(built ?? root, 'bin/quaver')

/** Arguments of Node that run this program; those of the program follow. */
export function programArguments(name: string): readonly string[] {
  return built === undefined
    ? [...nodeFlags, join(root, 'src/programs', name, 'main.ts')]
    : [...plainNodeFlags, join(built, 'app/programs', name, 'main.js')]
}
