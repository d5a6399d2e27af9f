/** Quaver as a service: one description, from which the files for every init system are made. The init system runs one program,
 *  `quaver start`, which runs those that control/services names. */

export const serviceName = 'quaver'
export const serviceTitle = 'Quaver mail server'

export interface BootService {
  /** Absolute path of the launcher. */
  readonly launcher: string
  /** Absolute. */
  readonly home: string
  /** Directories outside the home that it writes to, with configuration. */
  readonly configuration: readonly string[]
}

/** A file for an init system; `mode` of a script has the bits to run it. */
export interface ServiceFile {
  readonly path: string
  readonly mode: number
  readonly text: string
}

/** `start` gives each program 20 s in up to three steps. */
export const stopSecondsMax = 90
/** `start` says that it is ready after a minute at the latest. */
export const startSecondsMax = 120

export interface Grant {
  /** capabilities(7). */
  readonly capability: string
  readonly because: string
}

/** The rights of root that `start` and `lspawn` need; every other program has an account of its own, and none of these. */
export const grants: readonly Grant[] = [
  { capability: 'CAP_NET_BIND_SERVICE', because: 'ports below 1024' },
  { capability: 'CAP_SETUID', because: 'each program runs as its own account, each delivery as its user' },
  { capability: 'CAP_SETGID', because: 'the same for groups' },
  { capability: 'CAP_CHOWN', because: 'sockets and directories belong to the account that serves them' },
  { capability: 'CAP_FOWNER', because: 'their modes' },
  { capability: 'CAP_DAC_OVERRIDE', because: "whose recipient it is stands in users' own homes" },
  { capability: 'CAP_KILL', because: 'programs of other accounts are stopped' },
  { capability: 'CAP_SYS_RESOURCE', because: 'more open files than a user gets' },
  { capability: 'CAP_SYS_NICE', because: 'what can wait gives way' },
]

/** Sub-commands known from qmail's service scripts, and our command for each. */
export const actions: readonly {
  readonly names: readonly string[]
  readonly command: string
  readonly meaning: string
}[] = [
  { names: ['stat'], command: 'status', meaning: 'what runs, and what is wrong' },
  { names: ['pause'], command: 'pause', meaning: 'stop every program where it is' },
  { names: ['cont'], command: 'resume', meaning: 'let them go on' },
  { names: ['doqueue', 'alrm', 'flush'], command: 'queue retry --all', meaning: 'try all mail now' },
  { names: ['queue'], command: 'queue list', meaning: 'what waits' },
  { names: ['cdb'], command: 'rules compile', meaning: 'compile control/tcprules' },
  { names: ['reload', 'hup'], command: 'reload', meaning: 'read locals and virtualdomains again' },
]

export const actionNames: readonly string[] = actions.flatMap(({ names }) => names)

/** A word of a shell. */
export function quoted(text: string): string {
  return /^[\w/.:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** Branches of a shell's `case` for every action. */
export function actionBranches(indent: string): string {
  return actions.map(({ names, command }) => `${indent}${names.join('|')}) quaver ${command} ;;`).join('\n')
}

/** Shell functions: `quaver` on this home, and `runs`, which is true with troubles, too. */
export function quaverFunctions({ launcher, home }: BootService): string {
  return `quaver() { ${quoted(launcher)} "$@" --home ${quoted(home)}; }
runs() { quaver status --json 2>/dev/null | grep -q '"running":true'; }`
}
