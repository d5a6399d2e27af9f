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

/** `quick`: for a program that lives for milliseconds. It is CommonJS (Node's loader of ES modules costs a tenth of the
 *  start), and a part of Node is loaded where it is first used. */
export async function bundle(root: string, module: string, quick = false): Promise<Bundled> {
  const build = await rolldown({ input: module, cwd: root, platform: 'node', plugins: [plainRequire] })
  try {
    const { output } = await build.generate({
      format: quick ? 'cjs' : 'esm',
      codeSplitting: false,
      comments: false,
      // Names stay, so that a stack trace says something.
      minify: 'dce-only',
    })
    const [chunk, ...others] = output
    if (others.length > 0) throw new Error(`${module} became ${output.length} files`)
    return { code: quick ? withLazyBuiltins(chunk.code) : chunk.code, packages: packagesOf(chunk.moduleIds) }
  } finally {
    await build.close()
  }
}

/** The bundler writes `let node_fs = require("node:fs")` on top, and `node_fs.readSync` where it is used. */
function withLazyBuiltins(code: string): string {
  const getters: string[] = []
  const body = code.replace(/^let (node_\w+) = (require\("node:[\w/]+"\));\n/gm, (_, name: string, load: string) => {
    getters.push(`get ${name}() { return ${load}; }`)
    return ''
  })
  return `const builtin = { ${getters.join(', ')} };\n${body.replace(/(?<![\w.$])node_\w+(?=\.)/g, 'builtin.$&')}`
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
