/** Scripts for the most usual things that a server does. */
import type { Peer, Script } from './scripted-server.ts'

/** A whole transaction with everything accepted, without extensions; the connection stays. */
export async function takeMessage(peer: Peer, recipients = 1): Promise<void> {
  await peer.expect('MAIL FROM:', '250 ok\r\n')
  for (let n = 0; n < recipients; n++) await peer.expect('RCPT TO:', '250 ok\r\n')
  await peer.expect('DATA', '354 go\r\n')
  await peer.content()
  peer.send('250 taken\r\n')
}

/** Greeting, and EHLO with these keywords. */
export async function greet(peer: Peer, ...keywords: string[]): Promise<void> {
  peer.send('220 hi\r\n')
  const lines = ['server.test', ...keywords]
  const reply = lines.map((line, index) => `250${index === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('')
  await peer.expect('EHLO lab.test.example\r\n', reply)
}

export const acceptAll: Script = async (peer) => {
  await greet(peer)
  await takeMessage(peer)
  await peer.tail()
}

/** What is reported of `takeMessage`. */
export const accepted = (address: string): string => `K${address} accepted message.\nRemote host said: 250 taken\n`
