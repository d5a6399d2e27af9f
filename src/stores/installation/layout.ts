/** What an installed Quaver consists of, path by path, below a prefix (`/usr` in a package, `/opt/quaver` by default from a
 *  tarball). All code that installs, checks or removes it goes by this table alone. Everything here belongs to root and is the
 *  same on every machine: what differs by machine (homes, accounts, configuration) is in stores/home/layout.ts. */
import { isOnPath, qmailPrograms } from './qmail-programs.ts'

export type Entry =
  /** `shared`: other packages have files in it, too, so it is neither checked nor removed. */
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number; readonly shared?: true }
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly content: Content }
  /** `target` is relative to the link's own directory, so that the tree may be moved as a whole. */
  | { readonly kind: 'link'; readonly path: string; readonly target: string }

/** Where a file's bytes come from when a package is made. */
export type Content =
  /** A file of the source tree, unchanged. */
  | { readonly from: 'source'; readonly path: string }
  /** A module of the source tree with all that it imports, as one file. `quick`: it must start at once; CommonJS. */
  | { readonly from: 'module'; readonly path: string; readonly quick?: true }
  /** The runtime for the package's architecture. */
  | { readonly from: 'runtime' }
  /** The licences of the packages that are bundled, and of the runtime. */
  | { readonly from: 'licences' }
  /** A page of the manual, generated from the programs' tables. */
  | { readonly from: 'manual'; readonly page: ManualPage }
  | { readonly from: 'text'; readonly text: string }
  /** What is installed, path by path, with the digest of each file (manifest.ts). */
  | { readonly from: 'manifest' }

/** With its section. */
export type ManualPage = 'quaver.8' | 'quaver-control.5' | 'quaver-programs.7'
const manualPages: readonly ManualPage[] = ['quaver.8', 'quaver-control.5', 'quaver-programs.7']

/** The tree that holds all code; it may be anywhere, since programs find each other by relative paths. */
const tree = 'lib/quaver'

/** Below the prefix. */
export const manifestPath: string = `${tree}/manifest.json`

/** `programs`: the folders of src/programs. Directories come before what is in them. */
export function installedEntries(programs: readonly string[]): readonly Entry[] {
  return [
    shared('bin'),
    shared('lib'),
    directory(tree),
    directory(`${tree}/app`),
    directory(`${tree}/app/programs`),
    directory(`${tree}/bin`),
    directory(`${tree}/runtime`),
    shared('share'),
    shared('share/doc'),
    directory('share/doc/quaver'),
    shared('share/man'),
    ...['5', '7', '8'].map((section) => shared(`share/man/man${section}`)),
    ...manualPages.map((page) => file(`share/man/man${page.slice(-1)}/${page}`, { from: 'manual', page })),
    ...['quaver', ...qmailPrograms.filter(isOnPath)].map((name) => link(`bin/${name}`, `../${tree}/bin/${name}`)),
    file(`${tree}/bin/quaver`, { from: 'source', path: 'bin/quaver' }, 0o755),
    ...qmailPrograms.map((name) => link(`${tree}/bin/${name}`, 'quaver')),
    file(`${tree}/runtime/node`, { from: 'runtime' }, 0o755),
    // Node takes a file for a module by the nearest package.json.
    file(`${tree}/app/package.json`, { from: 'text', text: '{ "type": "module" }\n' }),
    ...programs.flatMap((name) => [directory(`${tree}/app/programs/${name}`), programFile(name)]),
    ...['README.md', 'CHANGES.md', 'LICENSE'].map((name) =>
      file(`share/doc/quaver/${name}`, { from: 'source', path: name }),
    ),
    file('share/doc/quaver/LICENCES', { from: 'licences' }),
    file(manifestPath, { from: 'manifest' }),
  ]
}

/** A service loads its whole file; programs that people and scripts call often load only what they need. */
function programFile(name: string): Entry {
  const directoryPath = `${tree}/app/programs/${name}`
  const module = { from: 'module', path: `src/programs/${name}/main.ts` } as const
  if (name !== 'qmail') return file(`${directoryPath}/main.js`, module)
  return file(`${directoryPath}/main.cjs`, { ...module, quick: true })
}

function link(path: string, target: string): Entry {
  return { kind: 'link', path, target }
}

function directory(path: string): Entry {
  return { kind: 'directory', path, mode: 0o755 }
}

function shared(path: string): Entry {
  return { kind: 'directory', path, mode: 0o755, shared: true }
}

function file(path: string, content: Content, mode = 0o644): Entry {
  return { kind: 'file', path, mode, content }
}
