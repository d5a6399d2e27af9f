/** Postfix, tuned, in a mount namespace of its own: it gets accounts, a resolver that refuses and its whole configuration
 *  without anything on the machine being changed. Needs root. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../test/kit/instance.ts'
import { allProcesses, treeOf } from '../test/kit/processes.ts'
import { meterOf } from './cpu.ts'
import { freePort, greeting, type Server } from './load.ts'
import type { PostfixTree } from './tools.ts'

const ids = { postfix: 61001, postdrop: 61002, reader: 61003 } as const
const stopMillisecondsMax = 20_000

export async function startPostfix(tree: PostfixTree, directory: string, sinkPort: number): Promise<Server> {
  const port = await freePort()
  makeDirectories(directory)
  writeFileSync(join(directory, 'etc/main.cf'), mainCf(tree, directory, sinkPort))
  writeFileSync(join(directory, 'etc/master.cf'), masterCf(port))
  writeFileSync(join(directory, 'passwd'), accounts('/etc/passwd', passwdLines(directory)))
  writeFileSync(join(directory, 'group'), accounts('/etc/group', groupLines))
  writeFileSync(join(directory, 'resolv.conf'), 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n')

  const script = `set -e
for name in passwd group resolv.conf; do mount --bind "$1/$name" "/etc/$name"; done
exec "$2" -c "$1/etc" -d`
  const master = join(tree.root, 'usr/lib/postfix/sbin/master')
  const args = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', directory, master]
  const child = spawn('unshare', args, {
    env: { ...tree.env, PATH: process.env['PATH'] },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await once(child, 'spawn')
  await greeting(port, () => child.exitCode !== null)
  const rootPid = child.pid ?? 0
  const cpu = meterOf(rootPid)
  const maildirs = new Maildirs(join(directory, 'reader'))
  return {
    name: `Postfix ${tree.version}`,
    port,
    rootPid,
    cpu,
    recipients: { maildir: 'reader@bench.local', relay: 'reader@elsewhere.test' },
    freshMaildir: () => maildirs.fresh(),
    async stop() {
      const exit = once(child, 'exit')
      const family = treeOf(rootPid)
      child.kill('SIGTERM')
      await exit
      await until('every process of Postfix gone', stopMillisecondsMax, () => {
        const left = allProcesses().filter(({ pid }) => family.some((one) => one.pid === pid))
        return Promise.resolve(left.length === 0 || undefined)
      })
      cpu.release()
    },
  }
}

class Maildirs {
  private readonly home: string
  private used = 0

  constructor(home: string) {
    this.home = home
  }

  /** The old one is moved away, not deleted: deletes would disturb the next cell. */
  fresh(): string {
    const maildir = join(this.home, 'Maildir')
    if (this.used > 0) renameSync(maildir, `${maildir}.${this.used}`)
    this.used++
    for (const name of ['', 'tmp', 'new', 'cur']) makeDirectory(join(maildir, name), ids.reader, ids.reader, 0o700)
    return join(maildir, 'new')
  }
}

function makeDirectories(directory: string): void {
  const { postfix, postdrop, reader } = ids
  makeDirectory(directory, 0, 0, 0o755)
  makeDirectory(join(directory, 'etc'), 0, 0, 0o755)
  makeDirectory(join(directory, 'queue'), 0, 0, 0o755)
  makeDirectory(join(directory, 'queue/pid'), 0, 0, 0o755)
  makeDirectory(join(directory, 'data'), postfix, postfix, 0o700)
  makeDirectory(join(directory, 'reader'), reader, reader, 0o755)
  for (const name of [
    'active',
    'bounce',
    'corrupt',
    'defer',
    'deferred',
    'flush',
    'hold',
    'incoming',
    'private',
    'saved',
    'trace',
  ])
    makeDirectory(join(directory, 'queue', name), postfix, postfix, 0o700)
  makeDirectory(join(directory, 'queue/public'), postfix, postdrop, 0o710)
  makeDirectory(join(directory, 'queue/maildrop'), postfix, postdrop, 0o730)
}

function makeDirectory(path: string, uid: number, gid: number, mode: number): void {
  mkdirSync(path, { mode })
  chownSync(path, uid, gid)
}

function accounts(path: string, own: string): string {
  const others = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => !/^(postfix|postdrop|reader):/.test(line))
  return `${others.join('\n').trimEnd()}\n${own}`
}

function passwdLines(directory: string): string {
  return `postfix:x:${ids.postfix}:${ids.postfix}::/nonexistent:/usr/sbin/nologin
reader:x:${ids.reader}:${ids.reader}::${join(directory, 'reader')}:/bin/sh
`
}

const groupLines = `postfix:x:${ids.postfix}:\npostdrop:x:${ids.postdrop}:\nreader:x:${ids.reader}:\n`

/** The settings from compatibility_level on are what a site would choose for speed; none of them gives up durability. */
function mainCf(tree: PostfixTree, directory: string, sinkPort: number): string {
  return `queue_directory = ${directory}/queue
data_directory = ${directory}/data
command_directory = ${join(tree.root, 'usr/sbin')}
daemon_directory = ${join(tree.root, 'usr/lib/postfix/sbin')}
meta_directory = ${directory}/etc
shlib_directory = ${join(tree.root, 'usr/lib/postfix')}
import_environment = LD_LIBRARY_PATH MAIL_CONFIG TZ LANG=C
mail_owner = postfix
setgid_group = postdrop
default_privs = nobody
compatibility_level = 3.6
myhostname = bench.local
mydestination = bench.local
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
biff = no
home_mailbox = Maildir/
smtpd_peername_lookup = no
maillog_file = ${directory}/log
maillog_file_prefixes = ${directory}
message_size_limit = 20480000
mailbox_size_limit = 0
relayhost = [127.0.0.1]:${sinkPort}
default_process_limit = 300
in_flow_delay = 0
local_destination_concurrency_limit = 20
initial_destination_concurrency = 20
default_destination_concurrency_limit = 100
smtp_destination_concurrency_limit = 100
`
}

function masterCf(port: number): string {
  return `127.0.0.1:${port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`
}
