/** What Node lacks (getsockopt SO_PEERCRED, flock, pipe, listen without accept, dup, prctl, poll, the ends of a
 *  connection, signals without a name, datagrams to a Unix socket, messages with descriptors, leases), called through
 *  node:ffi where it is there.
 *  Linux with glibc or musl; elsewhere every function says undefined and the caller falls back.
 *  Knows:  the numbers of the Linux ABI. Never: keeps a descriptor. */
import { readdirSync } from 'node:fs'
import { createRequire } from 'node:module'

const solSocket = 1
const soPeercred = 17
const lockExclusive = 2
const lockNonBlocking = 4
const duplicateCloseOnExec = 1030
const setLease = 1024
const readLease = 0
const noLease = 2
const setPipeSize = 1031
const setDescriptorFlags = 2
const closeOnExec = 1
const setStatusFlags = 4
const openWriteOnly = 1
const openNonBlocking = 0o4000
const logPipeBytes = 1_048_576
const openCloseOnExec = 0o2000000
const defaultDisposition = 0n
const ignoredDisposition = 1n
const pollInput = 1
const setDumpable = 4
const familyUnix = 1
const datagram = 2
const withoutWaiting = 0x40
const withoutSignal = 0x4000
const receiveCloseOnExec = 0x40000000
const addressPathBytesMax = 107
/** AF_INET and AF_INET6: where the address is in their sockaddr, and how long. */
const internetFamilies: ReadonlyMap<number, readonly [from: number, bytes: number]> = new Map([
  [2, [4, 4]],
  [10, [8, 16]],
])
const addressBytesMax = 128

interface Libc {
  getsockopt(fd: number, level: number, name: number, value: Buffer, length: Buffer): number
  flock(fd: number, operation: number): number
  pipe2(fds: Buffer, flags: number): number
  listen(fd: number, backlog: number): number
  fcntl(fd: number, command: number, argument: number): number
  signal(number: number, disposition: bigint): bigint
  prctl(option: number, argument: bigint, third: bigint, fourth: bigint, fifth: bigint): number
  socket(domain: number, type: number, protocol: number): number
  sendto(fd: number, bytes: Buffer, length: bigint, flags: number, address: Buffer, addressLength: number): bigint
  close(fd: number): number
  getsockname(fd: number, address: Buffer, length: Buffer): number
  getpeername(fd: number, address: Buffer, length: Buffer): number
  poll(fds: Buffer, count: bigint, milliseconds: number): number
  sendmsg(fd: number, header: bigint, flags: number): bigint
  recvmsg(fd: number, header: bigint, flags: number): bigint
  malloc(bytes: bigint): bigint
}

/** Memory outside of JavaScript, for structures that a system call gets by address. It is never freed. */
export interface NativeMemory {
  readonly address: bigint
  readonly bytes: Buffer
}

let opened: Libc | undefined
let viewOf: ((address: bigint, length: number) => Buffer) | undefined
let tried = false

function libc(): Libc | undefined {
  if (tried) return opened
  tried = true
  if (process.platform !== 'linux') return undefined
  for (const name of ['libc.so.6', `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`]) {
    try {
      // Loaded only when first needed: importing node:ffi costs every small process memory it does not use.
      const ffi = createRequire(import.meta.url)('node:ffi') as typeof import('node:ffi')
      const { functions } = ffi.dlopen(name, {
        getsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'], return: 'i32' },
        flock: { arguments: ['i32', 'i32'], return: 'i32' },
        pipe2: { arguments: ['pointer', 'i32'], return: 'i32' },
        listen: { arguments: ['i32', 'i32'], return: 'i32' },
        // Variadic in C; on Linux an int goes where a declared one would.
        fcntl: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
        signal: { arguments: ['i32', 'u64'], return: 'u64' },
        prctl: { arguments: ['i32', 'u64', 'u64', 'u64', 'u64'], return: 'i32' },
        socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
        sendto: { arguments: ['i32', 'pointer', 'u64', 'i32', 'pointer', 'i32'], return: 'i64' },
        close: { arguments: ['i32'], return: 'i32' },
        getsockname: { arguments: ['i32', 'pointer', 'pointer'], return: 'i32' },
        getpeername: { arguments: ['i32', 'pointer', 'pointer'], return: 'i32' },
        poll: { arguments: ['pointer', 'u64', 'i32'], return: 'i32' },
        sendmsg: { arguments: ['i32', 'pointer', 'i32'], return: 'i64' },
        recvmsg: { arguments: ['i32', 'pointer', 'i32'], return: 'i64' },
        malloc: { arguments: ['u64'], return: 'pointer' },
      })
      opened = functions as unknown as Libc
      viewOf = (address, length) => ffi.toBuffer(address, length, false)
      return opened
    } catch {
      // Not this C library, or no FFI in this build: the next name, then the fallbacks.
    }
  }
  return undefined
}

/** The uid of the process that connected to a Unix socket; undefined where the system does not tell. */
export function peerUid(fd: number): number | undefined {
  const value = Buffer.alloc(12)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(value.length)
  const result = libc()?.getsockopt(fd, solSocket, soPeercred, value, length)
  return result === 0 ? value.readUInt32LE(4) : undefined
}

/** Tries to take an exclusive lock on an open file. `unsupported` where flock cannot be had: the caller goes on unlocked, as
 *  qmail does. */
export function tryLockExclusive(fd: number): 'locked' | 'busy' | 'unsupported' {
  const library = libc()
  if (library === undefined) return 'unsupported'
  // errno cannot be read across FFI: a busy lock is by far the likeliest refusal, and the caller's wait is limited.
  return library.flock(fd, lockExclusive | lockNonBlocking) === 0 ? 'locked' : 'busy'
}

/** A pipe whose ends are not inherited unless named in `stdio`: Node's own pipes are sockets, one for each descriptor. */
export function makePipe(): { readonly readFd: number; readonly writeFd: number } | undefined {
  const fds = Buffer.alloc(8)
  if (libc()?.pipe2(fds, openCloseOnExec) !== 0) return undefined
  return { readFd: fds.readInt32LE(0), writeFd: fds.readInt32LE(4) }
}

/** A pipe for a log: one reader that may block, writers that never do (a full one refuses). Not inherited unless named. */
export function makeLogPipe(): { readonly readFd: number; readonly writeFd: number } | undefined {
  const pipe = makePipe()
  if (pipe === undefined) return undefined
  libc()?.fcntl(pipe.writeFd, setStatusFlags, openWriteOnly | openNonBlocking)
  // A wish: the pipe stays as it is where the system allows no more.
  libc()?.fcntl(pipe.writeFd, setPipeSize, logPipeBytes)
  return pipe
}

/** Listens on a bound socket without accepting: the process that inherits the descriptor does that. */
export function listenOnly(fd: number, backlog: number): 'listening' | 'refused' | 'unsupported' {
  const library = libc()
  if (library === undefined) return 'unsupported'
  return library.listen(fd, backlog) === 0 ? 'listening' : 'refused'
}

/** Another descriptor of the same open file, not inherited by programs; undefined where it cannot be had. */
export function duplicate(fd: number): number | undefined {
  const other = libc()?.fcntl(fd, duplicateCloseOnExec, 0) ?? -1
  return other < 0 ? undefined : other
}

/** The process takes no notice of a signal, and neither do programs that it starts; where it cannot be had, nothing is done. */
export function ignoreSignal(number: number): void {
  libc()?.signal(number, ignoredDisposition)
}

/** Restores a signal's default action for the program that this process becomes, which would inherit that it is ignored. */
export function resetSignal(number: number): void {
  libc()?.signal(number, defaultDisposition)
}

export interface SocketEnd {
  /** 4 or 16 bytes. */
  readonly address: readonly number[]
  readonly port: number
}

/** An end of the TCP connection that a descriptor is; undefined: it is none, or the system does not tell. The descriptor stays as
 *  it is: Node would make it one that does not block, also for the program that gets it next. */
export function socketEnd(fd: number, which: 'local' | 'remote'): SocketEnd | undefined {
  const bytes = Buffer.alloc(addressBytesMax)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  const library = libc()
  const ask = which === 'local' ? library?.getsockname : library?.getpeername
  if (ask?.(fd, bytes, length) !== 0) return undefined
  const place = internetFamilies.get(bytes.readUInt16LE(0))
  if (place === undefined) return undefined
  const [from, count] = place
  return { address: [...bytes.subarray(from, from + count)], port: bytes.readUInt16BE(2) }
}

/** Blocks the whole process until a descriptor can be read or is at its end. False: not in time, or the system does not tell. */
export function waitForInput(fd: number, milliseconds: number): boolean {
  const wanted = Buffer.alloc(8)
  wanted.writeInt32LE(fd)
  wanted.writeInt16LE(pollInput, 4)
  return (libc()?.poll(wanted, 1n, Math.min(milliseconds, 2 ** 31 - 1)) ?? -1) > 0
}

/** From now on no other process of the same user may trace this one, read its memory, or take its descriptors
 *  (ptrace, pidfd_getfd, /proc/PID/fd), and it leaves no core. Where the system has no such call, nothing is changed. */
export function forbidTracing(): void {
  libc()?.prctl(setDumpable, 0n, 0n, 0n, 0n)
}

/** A descriptor that this process inherited stays open in the program that it becomes: the runtime would close it. */
export function keepForNextProgram(fd: number): void {
  libc()?.fcntl(fd, setDescriptorFlags, 0)
}

/** One datagram to a Unix socket; `path` may begin with `@` (a name without a file). False: it could not be sent. */
export function sendDatagram(path: string, text: string): boolean {
  const library = libc()
  const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : path)
  if (library === undefined || name.length === 0 || name.length > addressPathBytesMax) return false
  const address = Buffer.alloc(2 + name.length)
  address.writeUInt16LE(familyUnix)
  name.copy(address, 2)
  const fd = library.socket(familyUnix, datagram | openCloseOnExec, 0)
  if (fd < 0) return false
  const bytes = Buffer.from(text)
  const sent = library.sendto(fd, bytes, BigInt(bytes.length), withoutWaiting, address, address.length)
  library.close(fd)
  return sent === BigInt(bytes.length)
}

/** True if no process has the file open for writing, or a writable mapping of it: only then the system grants a lease for
 *  reading. False where the system does not tell. `fd`: open for reading, of a file of the process' own user. */
export function hasNoWriter(fd: number): boolean {
  if (libc()?.fcntl(fd, setLease, readLease) !== 0) return false
  libc()?.fcntl(fd, setLease, noLease)
  return true
}

export function nativeMemory(length: number): NativeMemory | undefined {
  const address = libc()?.malloc(BigInt(length)) ?? 0n
  if (address === 0n || viewOf === undefined) return undefined
  return { address, bytes: viewOf(address, length) }
}

/** sendmsg of the `struct msghdr` there, without waiting: bytes sent, or negative. */
export function sendMessage(fd: number, { address }: NativeMemory): number {
  return Number(libc()?.sendmsg(fd, address, withoutWaiting | withoutSignal) ?? -1)
}

/** recvmsg into the `struct msghdr` there, without waiting: bytes received, or negative. */
export function receiveMessage(fd: number, { address }: NativeMemory): number {
  return Number(libc()?.recvmsg(fd, address, withoutWaiting | receiveCloseOnExec) ?? -1)
}

/** Descriptors above 2 that the caller's shell or service manager left open are not passed to programs that this process
 *  starts. Where the system does not tell what is open, nothing is changed. */
export function keepInheritedDescriptors(): void {
  if (process.platform !== 'linux') return
  for (const name of readdirSync('/proc/self/fd'))
    if (Number(name) > 2) libc()?.fcntl(Number(name), setDescriptorFlags, closeOnExec)
}
