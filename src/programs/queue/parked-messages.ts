/** Messages that are due but whose shares of the slots are taken: kept by id, out of memory otherwise. */
import { parkedMax } from './limits.ts'

export class ParkedMessages {
  private readonly byShare = new Map<string, Set<number>>()
  private readonly sharesOf = new Map<number, ReadonlySet<string>>()
  private entries = 0

  get size(): number {
    return this.sharesOf.size
  }

  /** It comes back when any of the shares has room. False if too much is parked already. */
  add(shares: ReadonlySet<string>, id: number): boolean {
    if (this.entries >= parkedMax) return false
    this.entries += shares.size
    this.sharesOf.set(id, shares)
    for (const share of shares) {
      const ids = this.byShare.get(share)
      if (ids === undefined) this.byShare.set(share, new Set([id]))
      else ids.add(id)
    }
    return true
  }

  /** Those parked first. */
  takeFrom(share: string, most: number): number[] {
    const taken: number[] = []
    for (const id of this.byShare.get(share) ?? []) {
      if (taken.length === most) break
      taken.push(id)
    }
    for (const id of taken) this.forget(id)
    return taken
  }

  private forget(id: number): void {
    const shares = this.sharesOf.get(id) ?? new Set()
    this.sharesOf.delete(id)
    this.entries -= shares.size
    for (const share of shares) {
      const ids = this.byShare.get(share)
      ids?.delete(id)
      if (ids?.size === 0) this.byShare.delete(share)
    }
  }
}
