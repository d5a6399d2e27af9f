/** What is asked of whoever runs a command: a password through a pipe, a yes on the terminal. */
import { createInterface } from 'node:readline/promises'
import { CommandError, exitCode } from './exit.ts'

const passwordCharactersMax = 1024

/** The first line of standard input, without its end. */
export async function readPassword(): Promise<string> {
  if (process.stdin.isTTY)
    throw new CommandError('--password-stdin reads a pipe or a file, not the terminal, where it would be seen')
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk
    if (text.includes('\n') || text.length > passwordCharactersMax) break
  }
  const password = text.split(/\r?\n/, 1)[0] ?? ''
  if (password === '') throw new CommandError('--password-stdin: the first line is empty')
  if (password.length > passwordCharactersMax)
    throw new CommandError(`--password-stdin: longer than ${passwordCharactersMax} characters`)
  return password
}

/** Throws unless `--yes` was given or a person says yes. Without a terminal nobody can be asked. */
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
