/** IP addresses as text (RFC 4291 §2.2), without node:net: loading that takes ten milliseconds. */

export const isIPv4 = (text: string): boolean =>
  /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(text);

const GROUPS = 8;

/** How many groups of 16 bits a piece without "::" is; NaN when it is none. */
const groupsOf = (piece: string): number => {
  if (piece === "") return 0;
  const parts = piece.split(":");
  const isMixed = isIPv4(parts.at(-1) ?? "");
  if (isMixed) parts.pop();
  const areHex = parts.every((part) => /^[0-9a-fA-F]{1,4}$/.test(part));
  return areHex ? parts.length + (isMixed ? 2 : 0) : Number.NaN;
};

/** Without a zone ("%eth0"): an address with one is good on a single link of a single machine. */
export const isIPv6 = (text: string): boolean => {
  const [head = "", tail, ...more] = text.split("::");
  if (more.length > 0) return false;
  if (tail === undefined) return groupsOf(head) === GROUPS;
  // Four bytes in decimal stand at the end alone.
  return !head.includes(".") && groupsOf(head) + groupsOf(tail) < GROUPS;
};

/** 0 is none. */
export const versionOfIP = (text: string): 0 | 4 | 6 => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0);

export const isIP = (text: string): boolean => versionOfIP(text) !== 0;
