/** Two connections of one process: for frames, and for descriptors. They come in any order; whoever opened them gave both the
 *  same number, which counts on the socket on which they came.
 *  Never:  reads the second. */
import type { Socket } from 'node:net'
import { descriptorOf } from '../../system/descriptors.ts'

/** As the connection for frames sees it. */
export interface Pair {
  /** The socket to which descriptors go; undefined: there is none. */
  readonly descriptors: number | undefined
  /** The connection for frames is gone: so is the other. */
  end(): void
}

interface Half {
  hasFrames: boolean
  socket: Socket | undefined
}

const alone: Pair = { descriptors: undefined, end: () => undefined }

export class DescriptorPairs {
  private readonly halves = new Map<string, Half>()

  /** Undefined: there is one connection only. A number that is taken is another process' mistake: no descriptors for it. */
  frames(name: string | undefined): Pair {
    if (name === undefined || this.halves.get(name)?.hasFrames === true) return alone
    const half = this.half(name)
    half.hasFrames = true
    return {
      get descriptors() {
        return half.socket === undefined ? undefined : descriptorOf(half.socket)
      },
      end: () => {
        this.halves.delete(name)
        half.socket?.destroy()
      },
    }
  }

  descriptors(name: string, socket: Socket): void {
    const half = this.half(name)
    if (half.socket === undefined) half.socket = socket
    else socket.destroy()
  }

  /** It is gone; what it was for goes in frames. */
  lost(name: string, socket: Socket): void {
    const half = this.halves.get(name)
    if (half?.socket !== socket) return
    half.socket = undefined
    if (!half.hasFrames) this.halves.delete(name)
  }

  private half(name: string): Half {
    let half = this.halves.get(name)
    if (half === undefined) {
      half = { hasFrames: false, socket: undefined }
      this.halves.set(name, half)
    }
    return half
  }
}
