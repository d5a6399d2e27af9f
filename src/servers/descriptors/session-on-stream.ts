/** One session on a stream that somebody else has accepted (tcpserver, inetd, a mail program's pipe): the listener's part
 *  without a listener.
 *  Knows:  back-pressure, the tick for the session's deadlines, ending so that the last reply arrives. Never: TLS, or who may connect.
 *  Fails:  a stream's error ends the session and nothing else. */
import type { Duplex } from 'node:stream'
import type { Clock } from '../../system/clock.ts'
import type { Dialogue, DialoguePort } from '../listener/dialogue.ts'
import type { ListenerLimits } from '../listener/limits.ts'

const tickMilliseconds = 1000

export type StreamSession = Pick<Dialogue, 'greet' | 'receive' | 'receiveEnd' | 'tick' | 'abort' | 'pendingBytes'>
export type StreamLimits = Pick<
  ListenerLimits,
  'lingerMillisecondsMax' | 'pendingInputBytesMax' | 'pendingRepliesBytesMax'
>
/** As `DialoguePort.close`, or the other side went away without a word. */
export type SessionEnd = 'goodbye' | 'refused' | 'gone'

/** Resolves when the last reply has been read, or will not be. */
export function serveStream(
  stream: Duplex,
  limits: StreamLimits,
  clock: Clock,
  open: (port: DialoguePort) => StreamSession,
): Promise<SessionEnd> {
  return new Promise((resolve) => {
    let ending: SessionEnd | undefined
    let isSaid = false
    let isHeard = false
    const regulate = (): void => {
      if (ending !== undefined) return
      const tooMuch =
        session.pendingBytes > limits.pendingInputBytesMax || stream.writableLength > limits.pendingRepliesBytesMax
      if (tooMuch) stream.pause()
      else stream.resume()
    }
    // It keeps the process, too: behind the end of a file nothing else does.
    const ticker = setInterval(() => {
      if (ending === undefined) session.tick()
    }, tickMilliseconds)
    const leave = (end: SessionEnd): void => {
      ending ??= end
      clearInterval(ticker)
      resolve(ending)
    }
    /** What the peer still sends is read and dropped for a while: a reset would take our last reply with it. */
    const leaveWhenRead = (): void => {
      if (ending !== undefined && isSaid && (isHeard || ending === 'goodbye')) leave(ending)
    }
    const session = open({
      send: (text) => stream.write(text, 'latin1'),
      startTls: () => undefined,
      progress: regulate,
      close(how) {
        if (ending !== undefined) return
        ending = how
        clock.after(limits.lingerMillisecondsMax, () => leave(how))
        stream.resume()
        stream.end(() => {
          isSaid = true
          leaveWhenRead()
        })
      },
    })
    const gone = (): void => {
      if (ending === undefined) session.abort()
      leave('gone')
    }
    stream.on('data', (bytes: Buffer) => {
      if (ending !== undefined) return
      session.receive(bytes)
      regulate()
    })
    stream.on('end', () => {
      isHeard = true
      if (ending === undefined) session.receiveEnd()
      leaveWhenRead()
    })
    stream.on('drain', regulate)
    stream.on('error', gone)
    stream.on('close', gone)
    session.greet()
    regulate()
  })
}
