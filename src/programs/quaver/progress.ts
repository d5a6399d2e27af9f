/** How far a long command is, on a terminal only. */

const everyMilliseconds = 200

/** `total`: undefined where nobody knows. */
export function progress(
  what: string,
  total: number | undefined,
  quiet: boolean,
): { readonly done: (count: number) => void; readonly end: () => void } {
  const isShown = process.stderr.isTTY && !quiet
  let shownAt = 0
  let shown = false
  return {
    done(count) {
      const now = performance.now()
      if (!isShown || now - shownAt < everyMilliseconds) return
      shownAt = now
      shown = true
      process.stderr.write(`\r${what}: ${count}${total === undefined ? '' : ` of ${total}`}`)
    },
    end() {
      if (shown) process.stderr.write('\r\u001B[K')
    },
  }
}
