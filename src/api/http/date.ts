/** The Date field (RFC 9110 §6.6.1), made once a second. */
import { monotonicMs } from "#lib/clock.ts";

let nextAtMs = 0;
let text = "";

/** "Date: …\r\n". */
export const dateField = (): string => {
  const at = monotonicMs();
  if (at >= nextAtMs) {
    const wallMs = performance.timeOrigin + at;
    nextAtMs = at + 1000 - (wallMs % 1000);
    text = `Date: ${new Date(wallMs).toUTCString()}\r\n`;
  }
  return text;
};
