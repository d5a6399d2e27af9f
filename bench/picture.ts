/** The ratios of a run as a picture (SVG): a bar a row, the other server's figure as the line at 1. */
import type { Summary } from './table.ts'

const rowPixels = 26
const labelPixels = 330
const barPixels = 420
const headPixels = 52

/** `caption`: what was measured, where and when. */
export function picture(rows: readonly Summary[], caption: string): string {
  const bars = rows.filter(({ speedRatio }) => speedRatio !== undefined)
  const most = Math.max(2, ...bars.map(({ speedRatio = 0 }) => speedRatio))
  const scale = barPixels / most
  const width = labelPixels + barPixels + 70
  const height = headPixels + bars.length * rowPixels + 16
  const one = labelPixels + scale
  const lines = bars.map(({ name, speedRatio = 0 }, at) => {
    const y = headPixels + at * rowPixels
    return (
      `<text x="${labelPixels - 8}" y="${y + 14}" text-anchor="end">${escaped(name)}</text>` +
      `<rect x="${labelPixels}" y="${y + 2}" width="${(speedRatio * scale).toFixed(1)}" height="16" fill="#2f6f8f"/>` +
      `<text x="${(labelPixels + speedRatio * scale + 6).toFixed(1)}" y="${y + 14}">${speedRatio.toFixed(2)}</text>`
    )
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="18" font-size="14">Messages a second, as a multiple of the other server</text>
<text x="8" y="36" fill="#555">${escaped(caption)}</text>
${lines.join('\n')}
<line x1="${one.toFixed(1)}" y1="${headPixels - 6}" x2="${one.toFixed(1)}" y2="${height - 12}" stroke="#b00" stroke-dasharray="3 3"/>
</svg>
`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
