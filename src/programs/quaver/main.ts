/** The quaver command. Each subcommand is a file of its own, loaded when it is asked for: start-up stays small. */
import { CommandError, exitCode, systemTrouble } from './exit.ts'

try {
  const [first, ...rest] = process.argv.slice(2)
  // What `start` runs does without the parser.
  if (first === 'pickup') {
    const { pickup } = await import('./pickup.ts')
    await pickup(rest)
  } else {
    // A reader that went away (`quaver queue list | head`) ends the command, and is no error.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      process.exit(error.code === 'EPIPE' ? exitCode.ok : exitCode.failed)
    })
    const { parse } = await import('./commands.ts')
    await parse(process.argv.slice(2))
  }
} catch (error) {
  const known = error instanceof CommandError ? error : systemTrouble(error)
  if (known === undefined) throw error
  for (const line of known.message.split('\n')) process.stderr.write(`quaver: ${line}\n`)
  process.exitCode = known.code
}
