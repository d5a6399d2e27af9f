/** Our own questions to name servers, because c-ares does not say whether an answer was verified (DNSSEC): by UDP, and by TCP
 *  where an answer was truncated.
 *  Knows:  time limits, which server is asked next, whether an answer is to our question.
 *  Never:  verifies anything: the resolver has, and the caller decides whether to trust the resolver.
 *  Fails:  rejects with StubError; its codes are c-ares'. */
import { createSocket } from 'node:dgram'
import { createConnection, isIPv6 } from 'node:net'
import { describeError } from '../../base/outcome.ts'
import {
  type DnsMessage,
  DnsMessageError,
  type DnsRecord,
  encodeQuestion,
  parseMessage,
  type RecordType,
} from '../../protocols/dns/message.ts'
import { parseAddress, type TcpAddress } from '../../system/bind.ts'
import type { Clock } from '../../system/clock.ts'
import { errorCode } from '../../system/files.ts'
import type { Random } from '../../system/random.ts'
import type { QueryLimits } from './channels.ts'

export class StubError extends Error {
  override name = 'StubError'
  readonly code: string
  /** The answer that there is nothing was verified. */
  readonly isSecure: boolean

  constructor(code: string, text: string, isSecure = false) {
    super(text)
    this.code = code
    this.isSecure = isSecure
  }
}

export interface StubAnswer {
  /** At least one of the type that was asked for; with the CNAME records that lead there. */
  readonly records: readonly DnsRecord[]
  /** The resolver says that it has verified all of it. */
  readonly isSecure: boolean
}

const dnsPort = 53
const failure: Readonly<Record<number, string>> = { 1: 'EFORMERR', 2: 'ESERVFAIL', 4: 'ENOTIMP', 5: 'EREFUSED' }
const noName = 3

export class Stub {
  private readonly clock: Clock
  private readonly random: Random
  private readonly servers: () => readonly string[]
  private readonly limits: QueryLimits

  /** `servers`: as Node names them, asked in their order. */
  constructor(clock: Clock, random: Random, servers: () => readonly string[], limits: QueryLimits) {
    this.clock = clock
    this.random = random
    this.servers = servers
    this.limits = limits
  }

  async ask(name: string, type: RecordType): Promise<StubAnswer> {
    const servers = this.servers().map(serverAddress)
    let last: unknown = new StubError('ECONNREFUSED', 'there is no name server')
    for (let turn = 0; turn < this.limits.triesMax; turn++) {
      for (const server of servers) {
        try {
          return answerIn(await this.askOne(server, name, type), name, type)
        } catch (error) {
          // Nothing is there: that is an answer.
          if (error instanceof StubError && (error.code === 'ENOTFOUND' || error.code === 'ENODATA')) throw error
          last = error
        }
      }
      // A server that says that it cannot will say so again.
      if (last instanceof StubError && last.code !== 'ETIMEOUT') break
    }
    throw last instanceof StubError ? last : new StubError(errorCode(last) || 'EBADRESP', describeError(last))
  }

  private async askOne(server: TcpAddress, name: string, type: RecordType): Promise<DnsMessage> {
    const question = encodeQuestion(this.random.below(65_536), name, type)
    if (question === undefined) throw new StubError('EBADNAME', `${name} cannot be asked for`)
    const answer = await this.byUdp(server, question)
    return answer.isTruncated ? await this.byTcp(server, question) : answer
  }

  private byUdp(server: TcpAddress, question: Uint8Array): Promise<DnsMessage> {
    return new Promise((resolve, reject) => {
      const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4')
      const end = (): void => {
        cancel()
        // An error that comes after the end does not matter.
        socket.on('error', () => undefined)
        socket.close()
      }
      const fail = (error: Error): void => {
        end()
        reject(error)
      }
      const cancel = this.clock.after(this.limits.queryMilliseconds, () => fail(silent(server)))
      socket.on('error', fail)
      socket.on('message', (bytes) => {
        try {
          const message = parseMessage(bytes)
          // Any host may send to a port; only what answers our question counts.
          if (!isAnswerTo(question, message)) return
          end()
          resolve(message)
        } catch (error) {
          fail(unreadable(server, error))
        }
      })
      // A connected socket takes answers from that server only, and learns when no server listens there.
      socket.connect(server.port, server.host, () => socket.send(question))
    })
  }

  private byTcp(server: TcpAddress, question: Uint8Array): Promise<DnsMessage> {
    return new Promise((resolve, reject) => {
      const socket = createConnection({ host: server.host, port: server.port })
      const end = (): void => {
        cancel()
        socket.destroy()
      }
      const fail = (error: Error): void => {
        end()
        reject(error)
      }
      const cancel = this.clock.after(this.limits.queryMilliseconds, () => fail(silent(server)))
      socket.on('error', fail)
      socket.on('close', () => fail(new StubError('EBADRESP', `${server.host} closed the connection`)))
      let input = Buffer.alloc(0)
      socket.on('data', (chunk: Buffer) => {
        // 64 KiB at most: that is how long a length of two bytes can be.
        input = Buffer.concat([input, chunk])
        if (input.length < 2 || input.length < 2 + input.readUInt16BE()) return
        try {
          const message = parseMessage(input.subarray(2, 2 + input.readUInt16BE()))
          if (!isAnswerTo(question, message)) throw new DnsMessageError('it answers another question')
          end()
          resolve(message)
        } catch (error) {
          fail(unreadable(server, error))
        }
      })
      const length = Buffer.alloc(2)
      length.writeUInt16BE(question.length)
      socket.write(Buffer.concat([length, question]))
    })
  }
}

/** `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53`, `[2001:db8::53]:53`. */
export function serverAddress(server: string): TcpAddress {
  return parseAddress(server) ?? { host: server, port: dnsPort }
}

function answerIn(message: DnsMessage, name: string, type: RecordType): StubAnswer {
  const { code, isAuthentic, records } = message
  if (code === noName) throw new StubError('ENOTFOUND', `${name} does not exist`, isAuthentic)
  if (code !== 0) throw new StubError(failure[code] ?? 'EBADRESP', `query${type} ${failure[code] ?? code} ${name}`)
  if (!records.some((record) => record.type === type))
    throw new StubError('ENODATA', `${name} has no ${type} record`, isAuthentic)
  return { records, isSecure: isAuthentic }
}

function isAnswerTo(question: Uint8Array, message: DnsMessage): boolean {
  const asked = parseMessage(question)
  const { id, question: of } = asked
  return (
    message.isAnswer && message.id === id && message.question?.name === of?.name && message.question?.type === of?.type
  )
}

function silent(server: TcpAddress): StubError {
  return new StubError('ETIMEOUT', `${server.host} does not answer`)
}

function unreadable(server: TcpAddress, error: unknown): StubError {
  return new StubError('EBADRESP', `${server.host} says what is no message: ${describeError(error)}`)
}

/** Where the records of a name are, CNAME by CNAME; the name itself where there is none. */
export function findCanonicalName(name: string, records: readonly DnsRecord[]): string {
  let at = name.toLowerCase()
  for (let hop = 0; hop < records.length; hop++) {
    const alias = records.find((record) => record.type === 'CNAME' && record.name === at)
    if (alias?.type !== 'CNAME') break
    at = alias.target
  }
  return at
}
