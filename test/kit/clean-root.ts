/** A machine to install on: a Debian root made by debootstrap (kept between runs), below a layer that is thrown away, in
 *  namespaces of its own for mounts, processes and network; and the rest of the Internet in another (elsewhere.ts).
 *  Never:  writes to the kept root, or leaves a process or a mount behind. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { run, until } from './instance.ts'
import { nodeFlags } from '../../src/system/node-flags.ts'
import { without, withoutRoot } from './tool.ts'

/** What the package depends on, and nothing else that a minimal system lacks. */
const packages = 'libstdc++6,libatomic1,libgcc-s1'
const suite = 'bookworm'
export const hostAddress = '203.0.114.25'
export const elsewhereAddress = '203.0.114.1'

/** It takes half a minute, and as long again and the network to make the root, the first time. */
export function withoutCleanRoot(): string | false {
  return (
    (process.env['QUAVER_CLEAN_ROOT'] === '1' ? false : 'half a minute: QUAVER_CLEAN_ROOT=1 runs it') ||
    withoutRoot() ||
    without('debootstrap', 'unshare', 'nsenter', 'ip', 'dpkg-deb', 'chroot') ||
    withoutNamespaces()
  )
}

function withoutNamespaces(): string | false {
  try {
    execFileSync('unshare', ['--mount', '--net', '--pid', '--fork', 'true'])
    return false
  } catch {
    return 'no namespaces here'
  }
}

/** Where QUAVER_CI_CACHE says, else in the temporary directory. */
function keptPath(): string {
  return join(process.env['QUAVER_CI_CACHE'] ?? join(tmpdir(), 'quaver-ci'), `root-${suite}`)
}

/** Made the first time. */
export function keptRoot(): string {
  const path = keptPath()
  const cache = dirname(path)
  if (existsSync(path)) return path
  mkdirSync(cache, { recursive: true })
  const making = mkdtempSync(join(cache, 'making-root-'))
  try {
    execFileSync('debootstrap', ['--variant=minbase', `--include=${packages}`, suite, making], { stdio: 'ignore' })
    rmSync(join(making, 'var/cache/apt'), { recursive: true, force: true })
    renameSync(making, path)
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
  return path
}

export interface Received {
  readonly from: string
  readonly to: readonly string[]
  readonly content: string
}

export class CleanRoot {
  private readonly base: string
  private readonly machine: ChildProcess
  private readonly elsewhere: ChildProcess
  private readonly answers: AsyncIterator<string>
  private pid = 0

  private constructor(zone: readonly string[]) {
    const kept = keptRoot()
    this.base = mkdtempSync(join(tmpdir(), 'quaver-root-'))
    for (const name of ['upper', 'work', 'root']) mkdirSync(join(this.base, name))
    const layers = `lowerdir=${kept},upperdir=${this.base}/upper,workdir=${this.base}/work`
    const script = [
      `mount -t overlay overlay -o ${layers} ${this.base}/root`,
      `mount -t proc proc ${this.base}/root/proc`,
      'ip link set lo up',
      `touch ${this.base}/up`,
      // Process 1 waits for those that nobody waits for.
      'while :; do sleep 1 & wait $!; done',
    ].join(' && ')
    const separate = ['--mount', '--net', '--uts', '--pid', '--fork', '--kill-child']
    this.machine = spawn('unshare', [...separate, 'sh', '-c', script], { stdio: 'inherit' })
    const program = [
      process.execPath,
      ...nodeFlags,
      join(import.meta.dirname, 'elsewhere.ts'),
      elsewhereAddress,
      ...zone,
    ]
    // A line says that the network is there.
    this.elsewhere = spawn('unshare', ['--net', 'sh', '-c', 'read line; exec "$@"', 'sh', ...program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    if (this.elsewhere.stdout === null) throw new Error('no output')
    this.answers = createInterface({ input: this.elsewhere.stdout })[Symbol.asyncIterator]()
    process.on('exit', this.kill)
  }

  /** `zone`: `name TYPE value`, a record each. */
  static async make(zone: readonly string[]): Promise<CleanRoot> {
    const made = new CleanRoot(zone)
    try {
      await made.connect()
    } catch (error) {
      await made.end()
      throw error
    }
    return made
  }

  /** In the machine, below its root. */
  run(...args: readonly string[]) {
    return this.runWith('', ...args)
  }

  runWith(input: string, ...args: readonly string[]) {
    const environment = ['/usr/bin/env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root']
    return run('nsenter', [...this.into, 'chroot', `${this.base}/root`, ...environment, ...args], input)
  }

  /** Brings a file of this machine into the root. */
  bring(path: string, text: string | Buffer): void {
    execFileSync('nsenter', [`--target=${this.pid}`, '--mount', 'sh', '-c', `cat > '${this.base}/root${path}'`], {
      input: text,
    })
  }

  /** Somebody elsewhere sends to the machine; the reply to the content. */
  async send(from: string, to: string, content: string): Promise<{ readonly code: number; readonly lines: string[] }> {
    this.elsewhere.stdin?.write(`${JSON.stringify({ host: hostAddress, from, to, content })}\n`)
    return (await this.answer()) as { code: number; lines: string[] }
  }

  /** What came to elsewhere, as soon as there is something. */
  async received(): Promise<Received[]> {
    this.elsewhere.stdin?.write('received\n')
    return (await this.answer()) as Received[]
  }

  /** Every path with kind, mode, owner, size or target, and a digest: what a machine without Quaver is compared with. */
  async tree(): Promise<string[]> {
    const script = String.raw`find / -xdev \( -path /proc -o -path /tmp -o -path /run \) -prune -o -printf '%p %y %m %u %g %l\n' | sort
find /etc /usr/bin /usr/lib/systemd /var/lib -xdev -type f -exec sha256sum {} + | sort -k2`
    const { stdout } = await this.run('sh', '-c', script)
    return stdout.split('\n')
  }

  async end(): Promise<void> {
    process.off('exit', this.kill)
    const living = [this.machine, this.elsewhere].filter(
      (child) => child.exitCode === null && child.signalCode === null,
    )
    const ended = living.map((child) => once(child, 'exit'))
    this.kill()
    await Promise.all(ended)
    rmSync(this.base, { recursive: true, force: true, maxRetries: 3 })
  }

  private get into(): readonly string[] {
    return [`--target=${this.pid}`, '--mount', '--net', '--uts', '--pid']
  }

  private readonly kill = (): void => {
    this.machine.kill('SIGKILL')
    this.elsewhere.kill('SIGKILL')
  }

  private async answer(): Promise<unknown> {
    const line = await this.answers.next()
    if (line.done === true) throw new Error('elsewhere has ended')
    return JSON.parse(line.value) as unknown
  }

  private async connect(): Promise<void> {
    const ready = until('the machine', 20_000, async () => {
      const child = Number(readFileSync(`/proc/${this.machine.pid}/task/${this.machine.pid}/children`, 'utf8').trim())
      const isUp = child > 0 && existsSync(join(this.base, 'up'))
      return isUp ? child : undefined
    })
    this.pid = await ready
    const own = readlinkSync('/proc/self/ns/net')
    await until('a network of its own', 20_000, async () => {
      return readlinkSync(`/proc/${this.elsewhere.pid}/ns/net`) === own ? undefined : true
    })
    const name = `vq${process.pid % 100_000}`
    const ip = (...args: readonly string[]): void => void execFileSync('ip', args)
    ip('link', 'add', `${name}a`, 'type', 'veth', 'peer', 'name', `${name}b`)
    ip('link', 'set', `${name}a`, 'netns', String(this.elsewhere.pid))
    ip('link', 'set', `${name}b`, 'netns', String(this.pid))
    for (const [pid, end, address] of [
      [this.elsewhere.pid, 'a', elsewhereAddress],
      [this.pid, 'b', hostAddress],
    ] as const) {
      const inside = (...args: readonly string[]): void =>
        void execFileSync('nsenter', [`--target=${pid}`, '--net', 'ip', ...args])
      inside('addr', 'add', `${address}/24`, 'dev', `${name}${end}`)
      inside('link', 'set', `${name}${end}`, 'up')
      inside('link', 'set', 'lo', 'up')
    }
    this.elsewhere.stdin?.write('\n')
    await this.answer()
    await this.run('hostname', 'mail.example.org')
    this.bring('/etc/resolv.conf', `nameserver ${elsewhereAddress}\n`)
    this.bring('/etc/hostname', 'mail.example.org\n')
  }
}
