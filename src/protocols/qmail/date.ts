/** Dates as qmail writes them: always UTC, English, whatever the machine's zone or language. */
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

/** For header fields: `21 Nov 2026 09:08:07 -0000`. */
export function headerDate(milliseconds: number): string {
  const date = new Date(milliseconds)
  return `${dayOf(date)} ${clockTime(date)} -0000`
}

/** For the `From ` line of an mbox: `Sat Nov 21 09:08:07 2026`, the day of the month in two digits. */
export function mboxDate(milliseconds: number): string {
  const date = new Date(milliseconds)
  const weekday = weekdays[date.getUTCDay()]
  return `${weekday} ${months[date.getUTCMonth()]} ${two(date.getUTCDate())} ${clockTime(date)} ${date.getUTCFullYear()}`
}

/** `21 Nov 2026` */
export function dayOf(date: Date): string {
  return `${date.getUTCDate()} ${months[date.getUTCMonth()]} ${date.getUTCFullYear()}`
}

/** `09:08:07` */
export function clockTime(date: Date): string {
  return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value)
}

/** For header fields, in a zone that is so many minutes before UTC: `21 Nov 2026 10:08:07 +0100`. */
export function localHeaderDate(milliseconds: number, minutes: number): string {
  const date = new Date(milliseconds + minutes * 60_000)
  const distance = Math.abs(minutes)
  const zone = `${minutes < 0 ? '-' : '+'}${two(Math.floor(distance / 60))}${two(distance % 60)}`
  return `${dayOf(date)} ${clockTime(date)} ${zone}`
}
