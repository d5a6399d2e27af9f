/** Load for the crash tests: connections that send numbered messages, note which were acknowledged, and go on whatever
 *  happens to the server; and the look at what came out. */
import { setTimeout as pause } from 'node:timers/promises'
import { demoAddress, type Instance } from '#test/kit/instance.ts'
import type { Sink } from '#test/kit/sink.ts'
import { SmtpClient } from '#test/kit/smtp-client.ts'

export const relayDomain = 'elsewhere.test'
const retryMilliseconds = 20
const bodyLines = 40
/** Messages of this and every so many more are too large for one frame to the queue: they are streamed. */
const largeEvery = 10
const largeBodyLines = 2500

export class Load {
  /** Numbers whose DATA was answered 250. */
  readonly acknowledged = new Set<number>()
  private readonly port: () => number
  private next: number
  private going = true
  private readonly clients: Promise<void>[] = []

  /** Messages are numbered from `first` on. */
  constructor(port: () => number, connections: number, first: number) {
    this.port = port
    this.next = first
    for (let count = 0; count < connections; count++) this.clients.push(this.send())
  }

  /** Each connection finishes the message it is at. */
  async stop(): Promise<void> {
    this.going = false
    await Promise.all(this.clients)
  }

  private async send(): Promise<void> {
    while (this.going) {
      try {
        await this.session()
      } catch {
        // The server died in the middle, or is being restarted: what was not acknowledged may be lost.
        await pause(retryMilliseconds)
      }
    }
  }

  private async session(): Promise<void> {
    const client = await SmtpClient.greeted(this.port())
    try {
      while (this.going) {
        const number = this.next++
        const to = [number % 2 === 0 ? demoAddress : `reader@${relayDomain}`]
        const reply = await client.transaction({ from: demoAddress, to, content: contentOf(number) })
        if (reply.code === 250) this.acknowledged.add(number)
      }
      await client.quit()
    } finally {
      client.destroy()
    }
  }
}

export interface Outcome {
  /** How often each number came out whole. */
  readonly whole: ReadonlyMap<number, number>
  /** Names of files and transactions that are not a whole message. */
  readonly broken: readonly string[]
}

/** Looks through the Maildir and the sink. */
export async function outcome(instance: Instance, sink: Sink): Promise<Outcome> {
  const whole = new Map<number, number>()
  const broken: string[] = []
  const look = (name: string, text: string): void => {
    const number = numberIn(text)
    if (number === undefined) broken.push(name)
    else whole.set(number, (whole.get(number) ?? 0) + 1)
  }
  for (const [name, content] of await instance.delivered()) look(name, content.toString('latin1'))
  for (const [index, { content }] of sink.transactions.entries())
    look(`transaction ${index}`, content.toString('latin1').replaceAll('\r\n', '\n'))
  return { whole, broken }
}

/** The number of a whole message; undefined if it is not whole. A bounce holds a whole copy and counts as one. */
function numberIn(text: string): number | undefined {
  const number = /^Subject: crash-(\d+)$/m.exec(text)?.[1]
  if (number === undefined) return undefined
  return text.includes(contentOf(Number(number)).replaceAll('\r\n', '\n')) ? Number(number) : undefined
}

function contentOf(number: number): string {
  const lines = number % largeEvery === 0 ? largeBodyLines : bodyLines
  return `Subject: crash-${number}\r\n\r\n${`line of message ${number}\r\n`.repeat(lines)}end of ${number}\r\n`
}
