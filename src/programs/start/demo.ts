/** What the demo shows on the terminal: what was made, that everything runs, and then the path of one message. */
import { spawn } from 'node:child_process'
import { fstatSync, openSync, readSync, watch } from 'node:fs'
import { extname, join, relative } from 'node:path'
import { styleText } from 'node:util'
import { findListener, titleOf } from '../../contracts/services.ts'
import type { Home } from '../../stores/home/layout.ts'
import { nodeFlags } from '../../system/node-flags.ts'
import { demoAddress, type DemoHome, makeDemoHome } from './demo-home.ts'
import type { StartOptions } from './options.ts'
import { print } from './screen.ts'
import type { Announcements, Started } from './start.ts'

const commandFile = join(import.meta.dirname, `../quaver/main${extname(import.meta.filename)}`)
const slowMilliseconds = 5000
const chunkBytes: number = 64 * 1024

export class Demo implements Announcements {
  private readonly options: StartOptions
  private readonly readyNames: string[] = []
  private begun: Started | undefined
  private slow: NodeJS.Timeout | undefined

  constructor(options: StartOptions) {
    this.options = options
  }

  async prepare(home: Home): Promise<void> {
    const made = await makeDemoHome(home)
    print(`\n${bold('Quaver demo')}${dim('  loopback only, every process as you')}\n`)
    print(row('home', near(home.path)))
    this.showMade(made, home)
    if (process.getuid?.() === 0) print(row('note', 'you are root: here, and only here, root may receive mail'))
  }

  started(started: Started): void {
    this.begun = started
    const { logPath } = started.screen
    if (logPath !== undefined) print(row('log', near(logPath)))
    if (logPath !== undefined && this.options.verbose) followFile(logPath, (text) => process.stdout.write(text))
    this.slow = setTimeout(() => this.sayWhatIsSlow(), slowMilliseconds)
    this.slow.unref()
  }

  ready(program: string): void {
    this.readyNames.push(program)
  }

  allReady(): void {
    clearTimeout(this.slow)
    const started = this.begun
    if (started === undefined) return
    print(row('running', this.readyNames.join(', ')))
    for (const [title, addresses] of addressesByTitle(started)) print(row(title, addresses.join(', ')))
    const services = new Set(started.fleet.status().map(({ program }) => program))
    const smtp = started.listening.bound.get('smtp') ?? []
    if (this.options.tour && smtp.length > 0 && services.has('lspawn')) this.tour(started)
    else print(`\n${dim('  Ctrl-C stops it.')}\n`)
  }

  private tour({ home, stopped }: Started): void {
    const child = spawn(process.execPath, [...nodeFlags, commandFile, 'tour', '--home', home.path], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    child.on('error', (error) => print(`  the tour could not be started: ${error.message}`))
    child.on('exit', (code) => {
      if (code === 0) print(dim('  It runs until Ctrl-C.\n'))
    })
    void stopped.then(() => child.kill())
  }

  private showMade({ made, password }: DemoHome, home: Home): void {
    print(row('made', made.length === 0 ? 'nothing: all is there from before' : made.join(', ')))
    const file = near(join(home.path, 'demo-password'))
    if (password === undefined) print(row('account', `${demoAddress}, password in ${file}`))
    else print(row('password', `${password}  ${dim(`of ${demoAddress}; kept in ${file}`)}`))
  }

  private sayWhatIsSlow(): void {
    const waiting = this.begun?.fleet.status().filter(({ state }) => state !== 'running') ?? []
    for (const { program, state, lastEnd } of waiting)
      print(row('not yet', `${program} is ${state}${lastEnd === '' ? '' : `: ${lastEnd}`}`))
    const log = this.begun?.screen.logPath
    if (log !== undefined) print(row('', `the reason is in ${near(log)}`))
  }
}

/** `127.0.0.1:2587 STARTTLS` and so on, under `submission`. */
function addressesByTitle({ listening }: Started): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const [name, bound] of listening.bound) {
    const listener = findListener(name)
    if (listener === undefined) continue
    const title = titleOf(listener.service)
    const shown = bound.map(({ address }) => `${address} ${listener.tls}`.trimEnd())
    found.set(title, [...(found.get(title) ?? []), ...shown])
  }
  return found
}

function row(label: string, text: string): string {
  return `  ${dim(label.padEnd(11))} ${text}`
}

/** Relative to the working directory, if that is shorter. */
function near(path: string): string {
  const short = relative(process.cwd(), path)
  return short !== '' && short.length < path.length ? short : path
}

function bold(text: string): string {
  return styleText('bold', text, { stream: process.stdout })
}

function dim(text: string): string {
  return styleText('dim', text, { stream: process.stdout })
}

/** Passes on text appended to a file after its present end. */
function followFile(path: string, onText: (text: string) => void): void {
  const fd = openSync(path, 'r')
  const buffer = Buffer.alloc(chunkBytes)
  let at = fstatSync(fd).size
  watch(path, () => {
    for (;;) {
      const bytes = readSync(fd, buffer, 0, chunkBytes, at)
      if (bytes === 0) return
      at += bytes
      onText(buffer.toString('latin1', 0, bytes))
    }
  })
}
