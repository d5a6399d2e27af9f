/** qmail-remote(8): called by QMAILREMOTE programs. Runs the program `remote` for one message. */
import { fromText, toText } from '../../base/byte-string.ts'
import { type Call, exit, Fatal } from './call.ts'
import { mainFile } from './session-programs.ts'

export async function remote(call: Call): Promise<number> {
  if (call.args.length < 3) {
    call.out('DI (qmail-remote) was invoked improperly. (#5.3.5)\n\0')
    return exit.ok
  }
  // Node passes arguments as UTF-8 only: mail to a mangled address would be worse than none.
  if (call.args.some((arg) => fromText(toText(arg)) !== arg)) {
    call.out('ZThis qmail-remote takes no addresses that are not UTF-8. (#4.3.0)\n\0')
    return exit.ok
  }
  const command = [
    process.execPath,
    ...process.execArgv,
    mainFile('remote'),
    '--home',
    call.home().path,
    '--once',
    '--',
  ]
  const end = await call.run([...command.map(fromText), ...call.args])
  if (end.kind === 'exit') return end.code
  throw new Fatal(exit.temporary, 'qmail-remote: fatal: unable to run')
}
