/** The package of Red Hat's family, of a staged tree: the same tree gives the same bytes. rpmbuild writes it.
 *  Knows:  which directories are the package's own (the manifest). Never: has a script, or looks for dependencies by itself. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type Installed, readManifest } from '../src/stores/installation/manifest.ts'
import { type Archive, tool } from './archives.ts'
import type { Architecture } from './stage.ts'

const rpmArchitecture: Readonly<Record<Architecture, string>> = { x64: 'x86_64', arm64: 'aarch64' }
/** What Node's own build asks of the system, as in the Debian package, in the names by which libraries are found there. */
const requires = [
  'libc.so.6(GLIBC_2.28)(64bit)',
  'libstdc++.so.6()(64bit)',
  'libgcc_s.so.1()(64bit)',
  'libatomic.so.1()(64bit)',
]

/** `staged` is a root with `usr` in it. Returns the path. */
export async function rpm({ staged, version, architecture, epoch, directory, compression }: Archive): Promise<string> {
  const manifest = await readManifest(join(staged, 'usr'))
  if (manifest === undefined) throw new Error(`${staged} has no manifest: stage it first`)
  const name = `quaver-${version}-1.${rpmArchitecture[architecture]}.rpm`
  const work = await mkdtemp(join(tmpdir(), 'quaver-rpm-'))
  try {
    await mkdir(join(work, 'BUILD'))
    await writeFile(join(work, 'quaver.spec'), spec(version, staged, manifest))
    const defines = {
      _topdir: work,
      _rpmdir: work,
      _build_name_fmt: name,
      _buildhost: 'quaver.invalid',
      use_source_date_epoch_as_buildtime: '1',
      clamp_mtime_to_source_date_epoch: '1',
      _binary_payload: compression === 'none' ? 'w0.gzdio' : 'w6.xzdio',
      _build_id_links: 'none',
      __os_install_post: '%{nil}',
      debug_package: '%{nil}',
    }
    const args = Object.entries(defines).flatMap(([key, value]) => ['--define', `${key} ${value}`])
    const target = ['--target', `${rpmArchitecture[architecture]}-linux`]
    await tool('rpmbuild', ['-bb', '--quiet', ...target, ...args, join(work, 'quaver.spec')], epoch)
    await rename(join(work, name), join(directory, name)).catch(async (error: unknown) => {
      // Another file system.
      await tool('cp', [join(work, name), join(directory, name)], epoch).catch(() => {
        throw error
      })
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return join(directory, basename(name))
}

function spec(version: string, staged: string, manifest: readonly Installed[]): string {
  return `Name: quaver
Version: ${version}
Release: 1
Summary: qmail, rebuilt to be easy to run
License: MIT
Group: System Environment/Daemons
AutoReqProv: no
${requires.map((one) => `Requires: ${one}`).join('\n')}
Recommends: ca-certificates, openssl

%description
A mail server with qmail's architecture and interfaces: SMTP in and out,
a queue that survives a power cut, Maildirs, submission and POP3.

Nothing runs after the installation: 'quaver setup you@example.org' makes the
machine a mail host, and 'quaver uninstall' takes back what that made.

%install
mkdir -p %{buildroot}
cp -a ${staged}/. %{buildroot}/

%files
${manifest.flatMap(fileLine).join('\n')}
`
}

function fileLine(one: Installed): string[] {
  const path = `"/usr/${one.path}"`
  if (one.kind === 'link') return [path]
  if (one.kind === 'directory' && one.shared === true) return []
  const mode = `%attr(${one.mode.toString(8)}, root, root)`
  return [one.kind === 'directory' ? `%dir ${mode} ${path}` : `${mode} ${path}`]
}
