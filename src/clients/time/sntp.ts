/** The time by another host's clock (SNTP, RFC 4330 §5).
 *  Never:  sets a clock.
 *  Fails:  undefined where no answer comes. */
import { createSocket } from 'node:dgram'
import type { Clock } from '../../system/clock.ts'

const packetBytes = 48
/** Version 4, client. */
const request = 0x23
const server = 4
const transmitAt = 40
/** From 1900 to 1970. */
const epochSeconds = 2_208_988_800

/** Milliseconds that our clock is ahead of `host`'s, half of the way there and back allowed for. */
export function clockOffset(
  host: string,
  millisecondsMax: number,
  clock: Clock,
  port = 123,
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    const asked = clock.now()
    const end = (offset: number | undefined): void => {
      cancel()
      socket.close()
      resolve(offset)
    }
    const cancel = clock.after(millisecondsMax, () => end(undefined))
    socket.on('error', () => end(undefined))
    socket.on('message', (answer) => end(offsetIn(answer, asked, clock.now())))
    const packet = Buffer.alloc(packetBytes)
    packet[0] = request
    socket.send(packet, port, host)
  })
}

function offsetIn(answer: Buffer, askedMs: number, answeredMs: number): number | undefined {
  const [first = 0, stratum = 0] = answer
  // A server that is not sure itself says stratum 0 or 16.
  if (answer.length < packetBytes || (first & 7) !== server || stratum === 0 || stratum > 15) return undefined
  const seconds = answer.readUInt32BE(transmitAt) - epochSeconds
  const fraction = answer.readUInt32BE(transmitAt + 4) / 2 ** 32
  return (askedMs + answeredMs) / 2 - (seconds + fraction) * 1000
}
