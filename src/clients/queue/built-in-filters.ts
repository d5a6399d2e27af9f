/** The filters that pkgsrc ships, in process: known by the last part of their path.
 *  Knows:  qmail-qfilter-addtlsheader, qmail-qfilter-viruscan. */
import type { ByteString } from '../../base/byte-string.ts'
import { failed, permanent } from '../../base/outcome.ts'
import type { Envelope, Params } from '../../contracts/envelope.ts'
import type { StreamFilter } from '../../protocols/qmail/stream-filter.ts'
import { tlsHeader } from '../../protocols/qmail/tls-header.ts'
import { VirusScan } from '../../protocols/qmail/virus-scan.ts'
import type { ContentSink, Enqueuer } from './enqueuer.ts'

export interface FilterContext {
  readonly environment: ReadonlyMap<string, ByteString>
  /** Milliseconds since 1970. */
  now(): number
  /** control/signatures. */
  signatures(): readonly ByteString[]
}

/** A new one for each message; undefined: not ours, to be executed. */
export function builtInFilter(filter: ByteString, context: FilterContext): StreamFilter | undefined {
  switch (filter.slice(filter.lastIndexOf('/') + 1)) {
    case 'qmail-qfilter-addtlsheader':
      return {
        prefix: tlsHeader(context.environment, context.now()),
        push: () => undefined,
        refusal: () => undefined,
      }
    case 'qmail-qfilter-viruscan':
      return virusFilter(context)
    default:
      return undefined
  }
}

export function isBuiltInFilter(filter: ByteString): boolean {
  const context = { environment: new Map<string, ByteString>(), now: () => 0, signatures: () => [] }
  return builtInFilter(filter, context) !== undefined
}

function virusFilter({ environment, signatures }: FilterContext): StreamFilter {
  const scan = new VirusScan(signatures())
  return {
    prefix: '',
    push: (chunk) => scan.push(chunk),
    refusal() {
      const found = scan.match()
      if (found === undefined) return undefined
      const pid = environment.get('QMAILPPID') ?? '0'
      const ip = environment.get('TCPREMOTEIP') ?? 'unknown'
      const text = `qfilter: viruscan ${pid} ${ip} ${found.replace(/[^ -~]/g, '?')}`
      return permanent('3.4', "we don't accept email with such content", text)
    },
  }
}

/** Content passes through the filter on its way to `next`. The head is not shown to it: what these filters look for is in
 *  no line that we or our plug-ins write. */
export class FilteringEnqueuer implements Enqueuer {
  private readonly make: () => StreamFilter
  private readonly next: Enqueuer

  constructor(make: () => StreamFilter, next: Enqueuer) {
    this.make = make
    this.next = next
  }

  open(envelope: Envelope, params: Params): ContentSink {
    const filter = this.make()
    const sink = this.next.open(envelope, params)
    return {
      write(bytes) {
        filter.push(bytes)
        return sink.write(bytes)
      },
      close(head, late) {
        const refusal = filter.refusal()
        if (refusal === undefined) return sink.close(filter.prefix + head, late)
        sink.abandon()
        return Promise.resolve(failed(refusal))
      },
      abandon: () => sink.abandon(),
    }
  }
}
