/** Signal names as Docker takes them (signal(7), x86 and ARM numbers), with or without "SIG". */
import { NaruError } from "#lib/errors.ts";

const NAMES = [
  "HUP",
  "INT",
  "QUIT",
  "ILL",
  "TRAP",
  "ABRT",
  "BUS",
  "FPE",
  "KILL",
  "USR1",
  "SEGV",
  "USR2",
  "PIPE",
  "ALRM",
  "TERM",
  "STKFLT",
  "CHLD",
  "CONT",
  "STOP",
  "TSTP",
  "TTIN",
  "TTOU",
  "URG",
  "XCPU",
  "XFSZ",
  "VTALRM",
  "PROF",
  "WINCH",
  "IO",
  "PWR",
  "SYS",
] as const;

const RTMIN = 34;
const RTMAX = 64;

const NUMBERS = new Map<string, number>(NAMES.map((name, index) => [name, index + 1]));
NUMBERS.set("IOT", 6).set("POLL", 29).set("CLD", 17).set("UNUSED", 31);
NUMBERS.set("RTMIN", RTMIN).set("RTMAX", RTMAX);
for (let offset = 1; offset <= 15; offset += 1) NUMBERS.set(`RTMIN+${offset}`, RTMIN + offset);
for (let offset = 1; offset <= 14; offset += 1) NUMBERS.set(`RTMAX-${offset}`, RTMAX - offset);

/** "SIGTERM", "term", "15" → 15. Throws invalid_argument "invalid signal: X". */
export const signalNumber = (text: string): number => {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number >= 1 && number <= RTMAX) return number;
  } else {
    const number = NUMBERS.get(text.toUpperCase().replace(/^SIG/, ""));
    if (number !== undefined) return number;
  }
  throw new NaruError("invalid_argument", `invalid signal: ${text}`);
};
