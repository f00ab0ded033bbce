/** `naru daemon --help`. */
import { OPTIONS } from "#daemon/options.ts";

export const daemonHelp = (): string => {
  const rows = OPTIONS.map((spec) => {
    const value =
      spec.kind === "boolean" ? "" : ` ${spec.kind === "map" ? "key=value" : spec.kind}`;
    const short = spec.short === undefined ? "    " : `-${spec.short}, `;
    return { left: `  ${short}--${spec.flag}${value}`, help: spec.help };
  });
  const width = Math.max(...rows.map((row) => row.left.length)) + 2;
  const lines = rows.map((row) => row.left.padEnd(width) + row.help);
  return `Usage:  naru daemon [OPTIONS]

The engine, in the foreground. Prints "ready" and its addresses when it accepts
requests. SIGTERM stops it; containers run on.

Options:
${lines.join("\n")}
`;
};
