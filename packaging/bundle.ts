/** One module of the source tree with everything it imports, as one file that needs no node_modules.
 *  Knows:  the bundler. Never: where the file goes.
 *  The same sources give the same bytes: no path, date or account of the machine gets in. */
import { sep } from 'node:path'
import { rolldown, type Plugin } from 'rolldown'

export interface Bundled {
  readonly code: string
  /** Names of the packages that went in. */
  readonly packages: readonly string[]
}

/** `createRequire` exists for what is loaded late and at once; the bundler follows a plain `require` only. */
const plainRequire: Plugin = {
  name: 'plain-require',
  transform: {
    filter: { code: 'const require = createRequire(import.meta.url)' },
    handler: (code) => code.replace('const require = createRequire(import.meta.url)', ''),
  },
}

export async function bundle(root: string, module: string): Promise<Bundled> {
  const build = await rolldown({ input: module, cwd: root, platform: 'node', plugins: [plainRequire] })
  try {
    const { output } = await build.generate({
      format: 'esm',
      codeSplitting: false,
      comments: false,
      // Names stay, so that a stack trace says something.
      minify: 'dce-only',
    })
    const [chunk, ...others] = output
    if (others.length > 0) throw new Error(`${module} became ${output.length} files`)
    return { code: chunk.code, packages: packagesOf(chunk.moduleIds) }
  } finally {
    await build.close()
  }
}

function packagesOf(moduleIds: readonly string[]): readonly string[] {
  const names = new Set<string>()
  for (const id of moduleIds) {
    const parts = id.split(sep)
    const at = parts.lastIndexOf('node_modules')
    if (at < 0) continue
    const [first = '', second = ''] = parts.slice(at + 1)
    names.add(first.startsWith('@') ? `${first}/${second}` : first)
  }
  return [...names].toSorted()
}
