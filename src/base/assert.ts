/** Assertions stay on in production: a wrong program stops, and the states on disk make that safe. */
export function assert(claim: boolean, what: string): asserts claim {
  if (!claim) throw new Error(`assertion failed: ${what}`)
}

/** The end of an exhaustive switch. */
export function assertNever(value: never): never {
  throw new Error(`assertion failed: unexpected ${JSON.stringify(value)}`)
}
