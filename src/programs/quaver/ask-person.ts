/** Input from the user of a command: a password through a pipe, a yes on the terminal. */
import { isUtf8 } from 'node:buffer'
import { createInterface } from 'node:readline/promises'
import { CommandError, exitCode } from './exit.ts'

const passwordCharactersMax = 1024
const passwordCharactersMin = 6
const passwordCharactersGood = 10

/** The first line of standard input, without its end: a password for logins here. */
export async function readPassword(): Promise<string> {
  const password = await readSecret('--password-stdin')
  checkLength(password)
  return password
}

/** The same for a password that another server checks. `option`: the option that needs it. */
export async function readSecret(option: string): Promise<string> {
  if (process.stdin.isTTY)
    throw new CommandError(`${option} reads a pipe or a file, not the terminal, where it would be seen`)
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    if (chunk.includes(10) || Buffer.concat(chunks).length > 4 * passwordCharactersMax) break
  }
  const bytes = Buffer.concat(chunks)
  const end = bytes.indexOf(10)
  const line = end < 0 ? bytes : bytes.subarray(0, end)
  if (!isUtf8(line)) throw new CommandError(`${option}: the first line is not UTF-8`)
  const password = line.toString('utf8').replace(/\r$/, '')
  if (password === '') throw new CommandError(`${option}: the first line is empty`)
  if (password.length > passwordCharactersMax)
    throw new CommandError(`${option}: longer than ${passwordCharactersMax} characters`)
  return password
}

/** Against guessing over the network, where 20 wrong passwords lock an account for a while. */
function checkLength(password: string): void {
  if (password.length < passwordCharactersMin)
    throw new CommandError(
      `--password-stdin: ${password.length} characters can be guessed; ${passwordCharactersMin} are the least, ${passwordCharactersGood} are better`,
    )
  if (password.length < passwordCharactersGood)
    process.stderr.write(
      `quaver: note: a password of ${password.length} characters; ${passwordCharactersGood} are better\n`,
    )
}

/** Throws unless `--yes` was given or a person says yes. Without a terminal it throws. */
export async function confirm(what: string, yes: boolean): Promise<void> {
  if (yes) return
  if (!process.stdin.isTTY || !process.stdout.isTTY)
    throw new CommandError(`${what}: give --yes to say that you mean it`, exitCode.usage)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`${what}? Type yes: `)
    if (answer.trim().toLowerCase() !== 'yes') throw new CommandError('nothing was changed')
  } finally {
    terminal.close()
  }
}
