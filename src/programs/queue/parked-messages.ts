/** Messages that are due but whose only domain is busy: kept by id, out of memory otherwise. */
import { parkedMax } from './limits.ts'

export class ParkedMessages {
  private readonly byDomain = new Map<string, number[]>()
  private count = 0

  get size(): number {
    return this.count
  }

  /** False if too many are parked already. */
  add(domain: string, id: number): boolean {
    if (this.count >= parkedMax) return false
    const ids = this.byDomain.get(domain)
    if (ids === undefined) this.byDomain.set(domain, [id])
    else ids.push(id)
    this.count++
    return true
  }

  takeFrom(domain: string, most: number): number[] {
    const ids = this.byDomain.get(domain)
    if (ids === undefined) return []
    const taken = ids.splice(0, most)
    if (ids.length === 0) this.byDomain.delete(domain)
    this.count -= taken.length
    return taken
  }
}
