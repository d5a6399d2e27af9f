/** Compiles the modules named as arguments, with all that they import, and runs none of them: the last import does not exist,
 *  which Node notices after it has compiled everything and run nothing. Kept by compile-cache.mjs. */
import { pathToFileURL } from 'node:url'

const imports = process.argv.slice(2).map((path) => `import ${JSON.stringify(pathToFileURL(path).href)}`)
const text = [...imports, "import { nothingOfThatName } from 'node:module'"].join('\n')
await import(`data:text/javascript,${encodeURIComponent(text)}`).catch(() => undefined)
