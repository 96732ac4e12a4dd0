/** A UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then randomness, so that ids sort by time. */
export function uuid7(now: number, random: () => number): string {
  const hex = (digits: number): string => {
    let text = ''
    while (text.length < digits) text += Math.floor(random() * 16).toString(16)
    return text
  }
  const time = Math.floor(now).toString(16).padStart(12, '0')
  const variant = '89ab'.charAt(Math.floor(random() * 4))
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex(3)}-${variant}${hex(3)}-${hex(12)}`
}
