/** A map that forgets: every entry has its end, and beyond a number of entries the oldest goes.
 *  Never: a clock of its own. */
export class FreshMap<V> {
  private readonly entriesMax: number
  private readonly entries = new Map<string, { readonly value: V; readonly until: number }>()

  constructor(entriesMax: number) {
    this.entriesMax = entriesMax
  }

  get(key: string, now: number): V | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined || entry.until > now) return entry?.value
    this.entries.delete(key)
    return undefined
  }

  delete(key: string): void {
    this.entries.delete(key)
  }

  set(key: string, value: V, until: number): void {
    this.entries.delete(key)
    for (const oldest of this.entries.keys()) {
      if (this.entries.size < this.entriesMax) break
      this.entries.delete(oldest)
    }
    this.entries.set(key, { value, until })
  }
}
