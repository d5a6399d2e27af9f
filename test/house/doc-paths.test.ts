/** Files that the maps of the house name are there: ARCHITECTURE.md, the journeys, the READMEs of rooms; and the tests that
 *  docs/security.md names. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const maps = globSync(['ARCHITECTURE.md', 'docs/journeys/*.md', 'src/**/README.md'], { cwd: root })
const named = /`([\w./-]+(?:\.(?:ts|md)|\/))`/g

/** A name is read from the root, from src/, from the map, or from the folder that was named last. */
function missingIn(map: string): string[] {
  const missing: string[] = []
  let beside = dirname(map)
  for (const [, name = ''] of readFileSync(join(root, map), 'utf8').matchAll(named)) {
    const places = ['', 'src', dirname(map), beside].map((from) => join(from, name))
    const found = places.find((path) => existsSync(join(root, path)))
    // A folder that is not here is one of a home.
    if (found !== undefined) beside = name.endsWith('/') ? found : dirname(found)
    else if (!name.endsWith('/')) missing.push(`${map}: ${name}`)
  }
  return missing
}

test('every file that a map names is there', () => {
  assert.ok(maps.length > 8, `${maps.length} maps`)
  assert.deepEqual(maps.flatMap(missingIn), [])
})

test('each threat of docs/security.md has a test that is there, by the name that is said', () => {
  const rows = readFileSync(join(root, 'docs/security.md'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| threat |'))
  assert.ok(rows.length > 60, `${rows.length} rows`)
  const faults = rows.flatMap((row) => {
    const shown = row.slice(row.lastIndexOf(' | ', row.length - 3))
    const files = shown.match(/[\w./-]+\.test\.ts/g) ?? []
    if (files.length === 0) return [`no test: ${row}`]
    const absent = files.filter((file) => !existsSync(join(root, file)))
    if (absent.length > 0) return absent
    const text = files.map((file) => readFileSync(join(root, file), 'utf8')).join('')
    const titles = [...shown.matchAll(/“([^”]*)”/g)].map(([, title = '']) => title.replace(/^… *|…$/g, ''))
    return titles.filter((title) => !text.includes(title)).map((title) => `${files.join()} has no ${title}`)
  })
  assert.deepEqual(faults, [])
})
