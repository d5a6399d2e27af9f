/** Archives of a staged tree: the same tree gives the same bytes. GNU tar and dpkg-deb write them; rpmbuild (rpm.ts). */
import { execFile } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Architecture } from './stage.ts'

const run = promisify(execFile)
const outputBytesMax: number = 16 * 1024 * 1024

export interface Archive {
  readonly staged: string
  readonly version: string
  readonly architecture: Architecture
  readonly epoch: number
  /** Where the archive goes. */
  readonly directory: string
  /** Of a Debian package; undefined: as small as it gets. */
  readonly compression?: 'none'
}

/** Unpacks to `quaver-VERSION-linux-ARCHITECTURE/`, whose content goes below any prefix. Returns the path. */
export async function tarball({ staged, version, architecture, epoch, directory }: Archive): Promise<string> {
  const name = `quaver-${version}-linux-${architecture}`
  const path = join(directory, `${name}.tar.gz`)
  const options = ['--sort=name', `--mtime=@${epoch}`, '--owner=0', '--group=0', '--numeric-owner', '--format=gnu']
  const compress = '--use-compress-program=gzip -n'
  await tool('tar', [...options, compress, `--transform=s,^\\.,${name},S`, '-cf', path, '-C', staged, '.'], epoch)
  return path
}

/** What Node's own build asks of the system: `ldd` and the versions of its symbols say so. */
const depends = 'libc6 (>= 2.28), libstdc++6 (>= 6), libgcc-s1, libatomic1'
const debianArchitecture: Readonly<Record<Architecture, string>> = { x64: 'amd64', arm64: 'arm64' }

/** Holds no maintainer script: dpkg alone unpacks it and takes it away. `staged` is a root with `usr` in it. */
export async function deb({ staged, version, architecture, epoch, directory, compression }: Archive): Promise<string> {
  const path = join(directory, `quaver_${version}_${debianArchitecture[architecture]}.deb`)
  const work = await mkdtemp(join(tmpdir(), 'quaver-deb-'))
  try {
    await cp(staged, work, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
    await mkdir(join(work, 'DEBIAN'))
    await writeFile(join(work, 'DEBIAN/control'), control(version, architecture))
    for (const name of ['DEBIAN/control', 'DEBIAN', '.']) await utimes(join(work, name), epoch, epoch)
    await chmod(work, 0o755)
    await tool(
      'dpkg-deb',
      [
        '--root-owner-group',
        ...(compression === 'none' ? ['-Znone'] : ['-Zxz', '--threads-max=1']),
        '--build',
        work,
        path,
      ],
      epoch,
    )
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return path
}

function control(version: string, architecture: Architecture): string {
  return `Package: quaver
Version: ${version}
Architecture: ${debianArchitecture[architecture]}
Maintainer: The Quaver maintainers <maintainers@quaver.invalid>
Section: mail
Priority: optional
Depends: ${depends}
Recommends: ca-certificates, openssl
Description: qmail, rebuilt to be easy to run
 A mail server with qmail's architecture and interfaces: SMTP in and out,
 a queue that survives a power cut, Maildirs, submission and POP3.
 .
 Nothing runs after the installation: 'quaver setup you@example.org' makes the
 machine a mail host, and 'quaver uninstall' takes back what that made.
`
}

export async function tool(name: string, args: readonly string[], epoch: number): Promise<void> {
  try {
    await run(name, args, {
      maxBuffer: outputBytesMax,
      env: { ...process.env, LC_ALL: 'C', SOURCE_DATE_EPOCH: String(epoch) },
    })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new Error(`${name} is not installed: it writes the archive`, { cause: error })
    throw error
  }
}
