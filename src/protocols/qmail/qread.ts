/** What qmail-qread writes: a line about each message, a line about each recipient. Bytes that do not print are `_`. */
import type { ByteString } from '../../base/byte-string.ts'
import { clockTime, dayOf } from './date.ts'

export interface ReadMessage {
  readonly id: number
  readonly bytes: number
  readonly sender: ByteString
  readonly bornMs: number
  /** Some recipient has failed, and the sender was not told yet. */
  readonly bouncing: boolean
  readonly recipients: readonly ReadRecipient[]
}

export interface ReadRecipient {
  readonly channel: 'local' | 'remote'
  readonly address: ByteString
  /** There will be no further attempt. */
  readonly done: boolean
}

export function readLines({ id, bytes, sender, bornMs, bouncing, recipients }: ReadMessage): ByteString {
  const born = new Date(bornMs)
  const head = `${dayOf(born)} ${clockTime(born)} GMT  #${id}  ${bytes}  <${safe(sender)}> ${bouncing ? ' bouncing' : ''}\n`
  const lines = recipients.map(
    ({ channel, address, done }) => `${done ? '  done' : ''}\t${channel}\t${safe(address)}\n`,
  )
  return head + lines.join('')
}

function safe(bytes: ByteString): ByteString {
  return bytes.replace(/[^!-~]/g, '_')
}
