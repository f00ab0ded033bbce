/**
 * An address for people and for what is kept: its password is "xxxxx", as Go's `URL.Redacted` has it. What is none stays
 * as it is.
 */
export const redactedAddress = (address: string): string =>
  address.replace(/^((?:[a-z][\w+.-]*:\/\/)?[^/?#@:]*):[^/?#]*@/i, "$1:xxxxx@");
