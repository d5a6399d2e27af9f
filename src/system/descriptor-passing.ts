/** Open files handed from one process to another over a Unix socket (SCM_RIGHTS): a process that did not get one cannot open it.
 *  The socket carries nothing else: four bytes of a tag come with each descriptor.
 *  Knows:  Linux's layout of a message with control data on 64-bit machines. Never: waits; never reads what a file says.
 *  Fails:  undefined or false where this machine cannot, or not now; then content goes another way. */
import { closeSync } from 'node:fs'
import { type NativeMemory, nativeMemory, receiveMessage, sendMessage } from './libc.ts'

const solSocket = 1
const scmRights = 1
/** Control data was cut off. */
const controlTruncated = 0x08
const tagBytes = 4
/** struct msghdr, struct iovec, the tag, struct cmsghdr with one descriptor: where each stands in the memory. */
const at = { header: 0, vector: 56, tag: 72, control: 80 } as const
/** Of a cmsghdr with one int, and no room for a second. */
const controlLength = 20
const memoryBytes: number = at.control + 24

export interface PassedDescriptor {
  readonly tag: number
  readonly fd: number
}

let prepared: NativeMemory | undefined

/** Whether descriptors can be sent and received on this machine. */
export function canPassDescriptors(): boolean {
  return memory() !== undefined
}

/** `tag`: 32 bits. The file stays open here, too. */
export function sendDescriptor(socket: number, fd: number, tag: number): boolean {
  const there = memory()
  if (there === undefined) return false
  const { bytes } = there
  prepare(there)
  bytes.writeUInt32LE(tag, at.tag)
  bytes.writeBigUInt64LE(BigInt(controlLength), at.control)
  bytes.writeInt32LE(solSocket, at.control + 8)
  bytes.writeInt32LE(scmRights, at.control + 12)
  bytes.writeInt32LE(fd, at.control + 16)
  return sendMessage(socket, there) === tagBytes
}

/** The next one that was sent, in their order; the caller closes it. Not inherited by programs. */
export function receiveDescriptor(socket: number): PassedDescriptor | undefined {
  const there = memory()
  if (there === undefined) return undefined
  const { bytes } = there
  prepare(there)
  const count = receiveMessage(socket, there)
  const isWhole =
    bytes.readBigUInt64LE(at.control) === BigInt(controlLength) &&
    bytes.readInt32LE(at.control + 8) === solSocket &&
    bytes.readInt32LE(at.control + 12) === scmRights
  if (count < 0 || !isWhole) return undefined
  const fd = bytes.readInt32LE(at.control + 16)
  if (count === tagBytes && (bytes.readInt32LE(at.header + 48) & controlTruncated) === 0)
    return { tag: bytes.readUInt32LE(at.tag), fd }
  closeSync(fd)
  return undefined
}

function memory(): NativeMemory | undefined {
  prepared ??= nativeMemory(memoryBytes)
  return prepared
}

/** The header, which the system writes to as well; no control data yet. */
function prepare({ address, bytes }: NativeMemory): void {
  bytes.fill(0)
  bytes.writeBigUInt64LE(address + BigInt(at.vector), at.header + 16)
  bytes.writeBigUInt64LE(1n, at.header + 24)
  bytes.writeBigUInt64LE(address + BigInt(at.control), at.header + 32)
  bytes.writeBigUInt64LE(BigInt(controlLength), at.header + 40)
  bytes.writeBigUInt64LE(address + BigInt(at.tag), at.vector)
  bytes.writeBigUInt64LE(BigInt(tagBytes), at.vector + 8)
}
