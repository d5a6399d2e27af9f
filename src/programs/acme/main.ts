/** acme: obtains the certificate of HOME/tls from the authority in control/acme, and renews it in time. Runs only with that
 *  file.
 *  Touches: control/acme and its kin (reads), HOME/acme (account key, state, challenges), the network (HTTPS), the program
 *           that control/acmehook names; start, by its socket `start-certificates`.
 *  Never:   sees a key of HOME/tls.
 *  Fails:   the present certificate stays in force; the trouble is reported, and the attempt repeated later. */
import { readFile } from 'node:fs/promises'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { parseArgs } from 'node:util'
import { toText } from '../../base/byte-string.ts'
import { CertificateClient } from '../../clients/certificates/certificate-client.ts'
import { SystemDns } from '../../clients/dns/resolver.ts'
import { isHttpsUrl, readBinding } from '../../protocols/acme/objects.ts'
import { beginChallenges } from '../../stores/acme/challenge-files.ts'
import { Control } from '../../stores/control/control.ts'
import { controlTroubles } from '../../stores/control/troubles.ts'
import { homeAt, socketPath } from '../../stores/home/layout.ts'
import { serveAdmin } from '../../system/admin-server.ts'
import { realClock as clock } from '../../system/clock.ts'
import { realFiles } from '../../system/files.ts'
import { connectPath, serveDescriptor } from '../../system/frame-connection.ts'
import { openLog } from '../../system/log.ts'
import { realRandom } from '../../system/random.ts'
import { Remembered } from '../../system/remembered.ts'
import { supervised } from '../../system/supervised.ts'
import { answerAcme } from './admin.ts'
import { leadsLimits, lookMilliseconds } from './limits.ts'
import { byFiles, byHook } from './proofs.ts'
import { Renewer } from './renewer.ts'
import type { AcmeSettings } from './world.ts'

const rootsBytesMax: number = 256 * 1024

const { values } = parseArgs({
  options: { home: { type: 'string' }, listen: { type: 'string', default: 'acme-admin' }, demo: { type: 'boolean' } },
})
const log = openLog('acme')
const home = homeAt(values.home ?? '.')
process.umask(0o022)
// An in-house authority often has a certificate of its own, which the machine's store has.
setDefaultCACertificates([...new Set([...getCACertificates('default'), ...getCACertificates('system')])])

const control = new Control(home.control, clock, (problem) => log(`warning: ${problem}`))
const certificates = new CertificateClient(() => connectPath(socketPath(home, 'start-certificates')), clock)
const dns = new SystemDns(clock, (control.list('dnsservers') ?? []).map(toText), {
  queryMilliseconds: 3000,
  triesMax: 2,
})
const leads = new Remembered<boolean>(clock, leadsLimits)
const renewer = new Renewer({
  home,
  files: realFiles,
  clock,
  random: realRandom,
  certificates,
  leadsWhere: (name, other) => leads.get(`${name} ${other}`, () => leadsWhere(name, other)),
  isNowhere: async (of) => ['none', 'hard'].includes((await dns.addresses(of)).kind),
  log,
  settings,
})
const program = supervised(
  log,
  {
    stop,
    reload: () => void renewer.look(),
    troubles: () => [...renewer.troubles(), ...controlTroubles(control, 'acme')],
  },
  values.listen.split(','),
)
const admin = serveDescriptor(
  program.listeners.get('acme-admin') ?? program.fail('--listen acme-admin is missing'),
  (socket) => serveAdmin(socket, clock, (request) => answerAcme(renewer, request)),
)
await prepareChallenges()
program.ready()
await lookForEver()

async function prepareChallenges(): Promise<void> {
  try {
    await beginChallenges(realFiles, home)
  } catch (error) {
    program.fail(`${home.acme}: ${String(error)}: it must belong to the account that acme runs as`)
  }
}

async function leadsWhere(name: string, other: string): Promise<boolean> {
  const [of, ofOther] = await Promise.all([dns.addresses(name), dns.addresses(other)])
  if (of.kind !== 'found' || ofOther.kind !== 'found') return false
  return of.values.every((address) => ofOther.values.includes(address))
}

async function lookForEver(): Promise<void> {
  control.refresh()
  await renewer.look()
  clock.after(lookMilliseconds, () => void lookForEver())
}

async function settings(): Promise<AcmeSettings> {
  control.refresh()
  const unread = control.unread('acme')
  if (unread.length > 0) throw new Error(unread.join('; '))
  const text = (name: 'acme' | 'acmecontact' | 'acmeprofile' | 'acmeroots' | 'acmehook'): string | undefined => {
    const line = control.optionalLine(name)
    return line === undefined || line === '' ? undefined : toText(line)
  }
  const directory = text('acme')
  if (directory === undefined || !isHttpsUrl(directory))
    throw new Error(`control/acme: '${directory ?? ''}' is no https URL of an authority's directory`)
  const hook = text('acmehook')
    ?.split(' ')
    .filter((word) => word !== '')
  const roots = text('acmeroots')
  const bound = control.optionalLine('acmebinding')
  const binding = bound === undefined ? undefined : readBinding(bound)
  if (bound !== undefined && binding === undefined)
    throw new Error('control/acmebinding: write a key id, a blank and a key in base64url')
  return {
    directory,
    contact: text('acmecontact'),
    binding,
    profile: text('acmeprofile'),
    proof: hook === undefined ? byFiles(realFiles, home) : byHook(hook, home.path),
    roots: roots === undefined ? undefined : await readRoots(roots),
  }
}

async function readRoots(path: string): Promise<string> {
  const facts = await realFiles.facts(path)
  if (facts === undefined) throw new Error(`control/acmeroots: ${path} is not there`)
  if (facts.bytes > rootsBytesMax) throw new Error(`control/acmeroots: ${path} is longer than ${rootsBytesMax} bytes`)
  return await readFile(path, 'utf8')
}

async function stop(): Promise<void> {
  await renewer.stop()
  admin.close()
  certificates.close()
}
