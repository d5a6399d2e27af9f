/** qmail-remote(8): one message to a host, called by hand or by a QMAILREMOTE program. Its reports are on descriptor 1, and its
 *  exit code is always 0.
 *  Never:  logs: the caller may read descriptors 1 and 2 as one, and take the log for a report. */
import { writeSync } from 'node:fs'
import { type ByteString, fromText, toBuffer } from '../../base/byte-string.ts'
import { type Status, transient } from '../../base/outcome.ts'
import { noParams } from '../../contracts/envelope.ts'
import { printed } from '../../protocols/qmail/delivery-status.ts'
import { remoteOutput } from '../../protocols/qmail/remote-output.ts'
import { remoteStatus } from '../../protocols/qmail/remote-status.ts'
import { Control } from '../../stores/control/control.ts'
import { TlsHosts } from '../../stores/control/tls-hosts.ts'
import type { Home } from '../../stores/home/layout.ts'
import { realClock } from '../../system/clock.ts'
import { realRandom } from '../../system/random.ts'
import { Gathered } from '../../system/spool.ts'
import { deliver } from './delivery.ts'
import { equip } from './equipment.ts'
import { readSettings } from './settings.ts'

class Unready extends Error {}

/** `words`: host, sender, recipients. Ends the process. */
export async function deliverOnce(home: Home, words: readonly string[]): Promise<never> {
  const [host = '', sender = '', ...recipients] = words.map(fromText)
  say(await outputFor(home, host, sender, recipients))
  process.exit(0)
}

async function outputFor(
  home: Home,
  host: ByteString,
  sender: ByteString,
  recipients: readonly ByteString[],
): Promise<ByteString> {
  const control = new Control(home.control, realClock)
  if (control.unread('remote').length > 0 || control.optionalLine('helohost') === undefined)
    return remoteOutput([], remoteStatus.badRoute)
  const content = await standardInput()
  if (content === undefined) return remoteOutput([], remoteStatus.unreadable())
  const silent = (): void => undefined
  try {
    const { equipment } = equip(home, control, silent, silent, (text) => {
      throw new Unready(text)
    })
    const settings = readSettings(control, new TlsHosts(home.control, realClock, silent))
    const envelope = { sender, recipients, params: noParams, contentBytes: content.bytes }
    const delivered = await deliver(envelope, () => content.chunks(), settings, equipment, host)
    equipment.pool.close()
    return delivered === 'crowded' ? remoteOutput([], remoteStatus.noConnection) : outputOf(delivered)
  } catch (error) {
    if (error instanceof Unready) return remoteOutput([], remoteStatus.badRoute)
    throw error
  } finally {
    content.close()
  }
}

/** A status that all recipients share is reported for the message. */
export function outputOf(statuses: readonly Status[]): ByteString {
  const [first = remoteStatus.noConnection] = statuses
  const isOne = statuses.every((status) => status.class === first.class && status.peerText === first.peerText)
  const taken = statuses.find((status) => status.class === 2)
  if (isOne && taken === undefined) return remoteOutput([], first)
  return remoteOutput(statuses, taken ?? printed(transient('0.0', 'Giving up')))
}

async function standardInput(): Promise<Gathered | undefined> {
  const content = new Gathered(realRandom)
  try {
    for await (const bytes of process.stdin) content.append(bytes as Buffer)
    return content
  } catch {
    content.close()
    return undefined
  }
}

function say(output: ByteString): void {
  const bytes = toBuffer(output)
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at)
}
