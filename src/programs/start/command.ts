/** How a program is run: arguments, environment, account, descriptors. */
import { nodeFlags } from '../../system/node-flags.ts'
import type { Home } from '../../stores/home/layout.ts'
import type { OwnerOf } from '../../stores/home/make.ts'
import type { Command } from './child.ts'
import type { Listening } from './prepare.ts'
import type { Screen } from './screen.ts'
import { type Program, programFile } from './program.ts'

export interface Setting {
  readonly home: Home
  readonly demo: boolean
  readonly listening: Listening
  readonly ownerOf: OwnerOf
  readonly screen: Pick<Screen, 'logFor'>
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export function commandFor(program: Program, { home, demo, listening, ownerOf, screen }: Setting): Command {
  const sockets = program.listens.flatMap((name) => {
    // A second address of the same service is `smtp-2`, and so on.
    const bound = listening.bound.get(name) ?? []
    return bound.map(({ fd }, at) => ({ name: at === 0 ? name : `${name}-${at + 1}`, fd }))
  })
  const log = screen.logFor(program.name)
  const owner = program.role === 'root' ? undefined : ownerOf?.(program.role)
  return {
    file: process.execPath,
    args: [
      ...nodeFlags,
      programFile(program),
      '--home',
      home.path,
      ...(demo ? ['--demo'] : []),
      ...(sockets.length === 0 ? [] : ['--listen', sockets.map(({ name }) => name).join(',')]),
      ...(program.args ?? []),
    ],
    env: environment(program, log.form),
    cwd: home.path,
    uid: owner?.uid,
    gid: owner?.gid,
    logFd: log.fd,
    listenFds: sockets.map(({ fd }) => fd),
  }
}

/** Only these variables: the program's account can read its environment, which is also passed on to users' programs. */
function environment(program: Program, logForm: string | undefined): Readonly<Record<string, string>> {
  const { env } = process
  const passed: Record<string, string | undefined> = {
    PATH: env['PATH'] ?? defaultPath,
    HOME: env['HOME'],
    LANG: env['LANG'],
    TZ: env['TZ'],
    QMAILQUEUE: program.injects ? env['QMAILQUEUE'] : undefined,
    QMAILREMOTE: program.name === 'remote' ? env['QMAILREMOTE'] : undefined,
    QUAVER_LOG: logForm,
    UV_THREADPOOL_SIZE: program.threads?.toString(),
  }
  return Object.fromEntries(Object.entries(passed).filter((entry): entry is [string, string] => entry[1] !== undefined))
}
