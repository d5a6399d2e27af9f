/** How much of its messages a process may hold in memory before they are streamed, however small they are. */
export class ContentBudget {
  private readonly bytesMax: number
  private bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }
  add(bytes: number): void {
    this.bytes += bytes
  }
  get held(): number {
    return this.bytes
  }
  get exceeded(): boolean {
    return this.bytes > this.bytesMax
  }
}

/** For a process that has one message at a time, or few. */
export const unlimited: ContentBudget = new ContentBudget(Number.POSITIVE_INFINITY)
