/** WWW-Authenticate: RFC 9110 section 11.6.1, with the parameters of the registries' token flow. */

export interface Challenge {
  /** Lower case: "bearer", "basic". */
  readonly scheme: string;
  /** By lower-case name: realm, service, scope, error. */
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const PARAMETER = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))/y;
const GAP = /[\s,]*/y;

const match = (pattern: RegExp, text: string, at: number): RegExpExecArray | undefined => {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
};

/** Several challenges may stand in one header (or in several, joined by commas). Nonsense ends the list. */
export const parseChallenges = (header: string): Challenge[] => {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  let at = 0;
  for (;;) {
    at += match(GAP, header, at)?.[0].length ?? 0;
    const parameter = match(PARAMETER, header, at);
    const last = challenges.at(-1);
    if (parameter !== undefined && last !== undefined) {
      const [whole, name = "", quoted, plain] = parameter;
      last.parameters[name.toLowerCase()] = quoted?.replaceAll(/\\(.)/g, "$1") ?? plain ?? "";
      at += whole.length;
      continue;
    }
    const scheme = match(TOKEN, header, at)?.[0];
    if (scheme === undefined) return challenges;
    challenges.push({ scheme: scheme.toLowerCase(), parameters: {} });
    at += scheme.length;
  }
};
