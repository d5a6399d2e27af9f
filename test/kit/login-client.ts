/** A bare client that is in TLS and before its login. */
import type { TLSSocket } from 'node:tls'
import { BareClient } from './smtpd-server.ts'

/** A busy machine may take long to start a user's process. */
export const answerMillisecondsMax = 30_000

/** Loopback has addresses enough for clients that must not be one another. */
export interface From {
  readonly address?: string
  /** Said before anything else. */
  readonly proxyHeader?: string
}

export interface SecureClient {
  readonly client: BareClient
  readonly tls: TLSSocket
  /** Its reply, to the last line. */
  ask(line: string): Promise<string>
}

const smtpReply = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n$/
const pop3Reply = /^[-+].*\r\n$/

/** 587, after STARTTLS and EHLO. */
export async function submissionClient(port: number, from: From = {}): Promise<SecureClient> {
  return await secured(port, from, smtpReply, 'STARTTLS', (ask) => ask('EHLO client.test'))
}

/** 110, after STLS. */
export async function pop3Client(port: number, from: From = {}): Promise<SecureClient> {
  return await secured(port, from, pop3Reply, 'STLS', () => Promise.resolve(''))
}

/** 995. */
export async function pop3sClient(port: number): Promise<SecureClient> {
  const client = BareClient.to(port)
  const tls = await client.handshake()
  await client.until(pop3Reply, answerMillisecondsMax)
  return { client, tls, ask: asker(client, pop3Reply) }
}

async function secured(
  port: number,
  { address, proxyHeader }: From,
  reply: RegExp,
  startTls: string,
  hello: (ask: SecureClient['ask']) => Promise<string>,
): Promise<SecureClient> {
  const client = BareClient.to(port, address)
  const ask = asker(client, reply)
  if (proxyHeader !== undefined) client.say(proxyHeader)
  await client.until(reply, answerMillisecondsMax)
  await hello(ask)
  await ask(startTls)
  const tls = await client.handshake()
  await hello(ask)
  return { client, tls, ask }
}

function asker(client: BareClient, reply: RegExp): SecureClient['ask'] {
  return async (line) => {
    client.say(`${line}\r\n`)
    return await client.until(reply, answerMillisecondsMax)
  }
}

/** An initial response of PLAIN (RFC 4616). */
export function plain(user: string, password: string): string {
  return base64(`\0${user}\0${password}`)
}

export function base64(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64')
}
