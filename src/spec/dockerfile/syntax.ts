/**
 * Which frontend a build's text names, whatever language it is in: the directive `syntax` in the comments that it begins
 * with (`#` or `//`), or the member of that name where the text is JSON (pure).
 */
const DIRECTIVE = /^(?:#|\/\/)\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;

const ofComments = (text: string, mark: string): string | undefined => {
  const lines = text.split("\n");
  // A script's own first line may stand in front.
  const first = lines[0]?.startsWith("#!") === true ? 1 : 0;
  for (const line of lines.slice(first)) {
    const match = line.startsWith(mark) ? DIRECTIVE.exec(line) : null;
    if (match === null) return undefined;
    if (match[1]?.toLowerCase() === "syntax") return match[2];
  }
  return undefined;
};

const ofJson = (text: string): string | undefined => {
  if (!text.trimStart().startsWith("{")) return undefined;
  try {
    const { syntax } = JSON.parse(text) as { syntax?: unknown };
    return typeof syntax === "string" ? syntax : undefined;
  } catch {
    // Something else that begins with a brace.
    return undefined;
  }
};

/** Image and what may follow it; "" where the text names none. */
export const syntaxOf = (text: string): string => {
  const plain = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
  return ofComments(plain, "#") ?? ofComments(plain, "//") ?? ofJson(plain) ?? "";
};

const BUILT_IN = /^(docker\.io\/)?docker\/dockerfile(-upstream)?(:|@|$)/;

/** True for all versions of Docker's own language: this engine speaks it. */
export const isBuiltIn = (source: string): boolean => BUILT_IN.test(source);
