/** `npm run package`: builds what is installed, and archives of it, into dist/. Needs no root.
 *  Fails:  names what is missing; an archive that could not be finished is not left behind. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseArgs, promisify } from 'node:util'
import { type Archive, deb, tarball } from './archives.ts'
import { oci } from './oci.ts'
import { rpm } from './rpm.ts'
import { type Architecture, runtimePackage, stage } from './stage.ts'

const root = join(import.meta.dirname, '..')
const formats = ['tar', 'deb', 'rpm', 'oci'] as const
const help = `Usage: npm run package [-- options]

Builds Quaver into dist/: a tree that runs without npm, and archives of it.

  --arch <x64|arm64>     the machine it is for (default: this one)
  --only <tar,deb,rpm,oci>  no other archives (default: all; an rpm where rpmbuild is, an OCI image with --base)
  --base <tar>           the root file system of the OCI image, as mmdebstrap writes it
  --out <directory>      instead of dist/
  --help                 show this help

Examples:
  npm run package
  npm run package -- --arch arm64 --only deb
  mmdebstrap --variant=minbase --include=libstdc++6,libatomic1,ca-certificates,openssl bookworm base.tar
  npm run package -- --only oci --base base.tar

The same sources give the same bytes; SOURCE_DATE_EPOCH sets the time of all files (default: that of the last commit).
`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      arch: { type: 'string', default: process.arch },
      only: { type: 'string' },
      base: { type: 'string' },
      out: { type: 'string', default: join(root, 'dist') },
      help: { type: 'boolean' },
    },
  })
  if (values.help === true) {
    process.stdout.write(help)
    return
  }
  const architecture = architectureNamed(values.arch)
  const wanted = values.only?.split(',') ?? (await writableFormats(values.base))
  const unknown = wanted.find((name) => !formats.some((format) => format === name))
  if (unknown !== undefined) throw new Error(`--only ${unknown}: there are ${formats.join(', ')}`)
  if (!existsSync(join(runtimePackage(root, architecture), 'bin/node')))
    throw new Error(
      `the runtime for ${architecture} is not in node_modules: npm ci --os linux --cpu ${architecture} brings it`,
    )
  const { base = '' } = values
  if (wanted.includes('oci') && !existsSync(base))
    throw new Error(
      base === '' ? 'an OCI image needs --base: a root file system as a tar archive' : `--base ${base} is not there`,
    )
  await mkdir(values.out, { recursive: true })
  const epoch = await epochOf()
  const version = await versionOf()
  const work = await mkdtemp(join(values.out, '.work-'))
  const made: string[] = []
  try {
    for (const [format, prefix, write] of [
      ['tar', '/', tarball],
      ['deb', '/usr', deb],
      ['rpm', '/usr', rpm],
      ['oci', '/usr', (archive: Archive) => oci({ ...archive, base })],
    ] as const) {
      if (!wanted.includes(format)) continue
      const staged = join(work, format)
      await mkdir(staged)
      await stage({ root, destination: staged, prefix, architecture, epoch, onProgress: progress })
      if (format === 'tar') await addInstaller(staged, epoch)
      progress(format)
      const path = await write({ staged, version, architecture, epoch, directory: work })
      await rename(path, join(values.out, basename(path)))
      made.push(join(values.out, basename(path)))
    }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  progress('')
  for (const path of made) {
    const sum = await digest(path)
    await writeFile(`${path}.sha256`, `${sum}  ${basename(path)}\n`)
    process.stdout.write(`${path}  ${Math.round((await stat(path)).size / 2 ** 20)} MiB  sha256 ${sum}\n`)
  }
}

/** Debian has rpmbuild where somebody has asked for it. */
async function writableFormats(base: string | undefined): Promise<readonly string[]> {
  const possible = formats.filter((format) => format !== 'oci' || base !== undefined)
  if (base === undefined) process.stderr.write('package: no OCI image is made: --base names its root file system\n')
  try {
    await promisify(execFile)('rpmbuild', ['--version'])
    return possible
  } catch {
    process.stderr.write('package: no rpm is made: rpmbuild is not installed (apt-get install rpm)\n')
    return possible.filter((format) => format !== 'rpm')
  }
}

/** What a package manager does elsewhere. */
async function addInstaller(staged: string, epoch: number): Promise<void> {
  const path = join(staged, 'install.sh')
  await copyFile(join(root, 'packaging/install.sh'), path)
  await chmod(path, 0o755)
  for (const one of [path, staged]) await utimes(one, epoch, epoch)
}

function architectureNamed(name: string): Architecture {
  if (name === 'x64' || name === 'arm64') return name
  throw new Error(`--arch ${name}: there are x64 and arm64`)
}

async function epochOf(): Promise<number> {
  const given = process.env['SOURCE_DATE_EPOCH']
  if (given !== undefined) {
    if (!/^\d{1,12}$/.test(given)) throw new Error(`SOURCE_DATE_EPOCH is '${given}', and must be seconds since 1970`)
    return Number(given)
  }
  const { stdout } = await promisify(execFile)('git', ['-C', root, 'log', '-1', '--format=%ct'])
  return Number(stdout.trim())
}

async function versionOf(): Promise<string> {
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { readonly version: string }
  return manifest.version
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

/** On a terminal only: one line that is written over. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
}

try {
  await main()
} catch (error) {
  progress('')
  process.stderr.write(`package: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
