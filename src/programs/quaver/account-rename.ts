/** `quaver account rename`. */
import { parseAccountAddress, textOf } from '../../stores/accounts/address.ts'
import { renameAccount } from '../../stores/accounts/rename.ts'
import { realFiles } from '../../system/files.ts'
import { type GlobalOptions, requireHome } from './context.ts'
import { print, printJson } from './output.ts'
import { changing, reload } from './site-change.ts'

export async function rename(from: string, to: string, options: GlobalOptions): Promise<void> {
  const home = requireHome(options)
  await changing(home, async () => {
    const [before, after] = [parseAccountAddress(from), parseAccountAddress(to)]
    await renameAccount(realFiles, home, before, after)
    await reload(home)
    if (options.json === true) printJson({ address: textOf(after), alias: textOf(before) })
    else
      print(
        `${textOf(before)} is ${textOf(after)} now: the same mail and passwords; it logs in by the new name.\nMail to the old address still arrives: quaver alias remove ${textOf(before)} ends that`,
      )
  })
}
