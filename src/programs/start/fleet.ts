/** All programs of a home: started phase by phase, stopped the other way round.
 *  Knows:  order and readiness. Never: what a program does.
 *  Fails:  a program that does not get ready is restarted for ever; those of later phases wait for it. */
import type { ToProgram } from '../../contracts/supervise.ts'
import { type Trouble, troubleIn } from '../../contracts/troubles.ts'
import type { Clock } from '../../system/clock.ts'
import { Child, type ChildStatus, type Command, type Events } from './child.ts'
import { needsTls, type Program } from './program.ts'

export interface Member {
  readonly program: Program
  readonly command: Command
}

export interface ProgramTrouble extends Trouble {
  readonly program: string
}

const noCertificate = 'no certificate: cert.pem and key.pem in tls/'

export class Fleet {
  private readonly children: { readonly program: Program; readonly child: Child }[]
  private readonly everReady = new Set<Child>()
  /** Programs that wait for a certificate. */
  private held: ReadonlySet<Child>
  private readonly events: Events & { allReady(): void }
  private announced = false
  private started = false
  private stopping = false

  constructor(members: readonly Member[], events: Events & { allReady(): void }, clock: Clock) {
    this.events = events
    const childEvents = { ready: (child: Child) => this.ready(child), trouble: (text: string) => events.trouble(text) }
    this.children = members.map(({ program, command }) => {
      return { program, child: new Child(program.name, command, childEvents, clock) }
    })
    this.held = new Set(this.children.filter(({ program }) => needsTls(program)).map(({ child }) => child))
  }

  start(): void {
    this.started = true
    this.startDuePhases()
  }

  /** Resolves when every program is gone. */
  async stop(): Promise<void> {
    this.stopping = true
    for (const { child } of this.children) child.retire()
    for (const phase of this.phases().reverse()) await Promise.all(this.inPhase(phase).map(({ child }) => child.stop()))
  }

  kill(): void {
    for (const { child } of this.children) child.kill()
  }

  tell(order: ToProgram): void {
    for (const { child } of this.children) child.tell(order)
  }

  giveTls(order: ToProgram): void {
    for (const { program, child } of this.children) if (program.tls) child.giveTls(order)
    this.held = new Set()
    if (this.started && !this.stopping) this.startDuePhases()
  }

  status(): ChildStatus[] {
    return this.children.map(({ child }) => {
      return this.held.has(child) ? { ...child.status(), state: 'held', lastEnd: noCertificate } : child.status()
    })
  }

  /** Of all programs, by their names. */
  async troubles(): Promise<ProgramTrouble[]> {
    const found = await Promise.all(
      this.children.map(async ({ child }) => {
        const { program, pid, state, restarts, lastEnd } = child.status()
        const own = (await child.troubles()) ?? [
          { kind: 'silent' as const, where: String(pid ?? ''), text: `${program} was asked, and said nothing` },
        ]
        const isFailing = restarts > 0 && !this.held.has(child) && (state === 'waiting' || state === 'starting')
        const end = isFailing ? [troubleIn(lastEnd) ?? { kind: 'restarting' as const, where: '', text: lastEnd }] : []
        return [...end, ...own].map((trouble) => ({ program, ...trouble }))
      }),
    )
    return found.flat()
  }

  private ready(child: Child): void {
    this.everReady.add(child)
    this.events.ready(child)
    if (!this.stopping) this.startDuePhases()
  }

  /** Starts the first phase that has not been ready yet. Having been ready once is enough: during a later restart the program's
   *  callers wait in its socket's backlog. */
  private startDuePhases(): void {
    for (const phase of this.phases()) {
      const members = this.inPhase(phase)
      const due = members.filter(({ child }) => !this.everReady.has(child) && !this.held.has(child))
      if (due.length === 0) continue
      for (const { child } of due) if (child.status().state === 'stopped') child.start()
      return
    }
    if (this.announced) return
    this.announced = true
    this.events.allReady()
  }

  private phases(): number[] {
    return [...new Set(this.children.map(({ program }) => program.phase))].sort((a, b) => a - b)
  }

  private inPhase(phase: number): { readonly program: Program; readonly child: Child }[] {
    return this.children.filter(({ program }) => program.phase === phase)
  }
}
