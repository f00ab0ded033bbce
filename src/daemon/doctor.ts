/** `naru doctor`: can this host run containers, and what to do where it cannot. */
import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { toNaruError } from "#lib/errors.ts";
import { DEFAULT_DATA_ROOT } from "#daemon/config.ts";
import { type Finding, type Verdict, examineHost } from "#daemon/doctor-checks.ts";

const STDOUT = 1;
const STDERR = 2;

const HELP = `Usage:  naru doctor [OPTIONS]

Check whether this host can run containers, and say what to do where it cannot.

Options:
      --data-root string   Where the daemon keeps its data (${DEFAULT_DATA_ROOT})
      --format string      "text" or "json"

Exit code: 0 when containers can run, 1 when something is in the way.
`;

const MARKS: Readonly<Record<Verdict, readonly [plain: string, color: string]>> = {
  ok: ["ok", "32"],
  warning: ["warn", "33"],
  problem: ["FAIL", "31"],
};

export const renderFindings = (findings: readonly Finding[], hasColor: boolean): string => {
  const width = Math.max(...findings.map((finding) => finding.subject.length));
  const lines = findings.flatMap((finding) => {
    const [plain, color] = MARKS[finding.verdict];
    const mark = hasColor ? `\x1b[${color}m${plain.padEnd(4)}\x1b[0m` : plain.padEnd(4);
    const line = `${mark}  ${finding.subject.padEnd(width)}  ${finding.detail}`;
    return finding.remedy === "" ? [line] : [line, `${" ".repeat(width + 8)}→ ${finding.remedy}`];
  });
  const problems = findings.filter((finding) => finding.verdict === "problem").length;
  const warnings = findings.filter((finding) => finding.verdict === "warning").length;
  const summary =
    problems > 0
      ? `${problems} problem${problems === 1 ? "" : "s"} in the way of containers`
      : warnings > 0
        ? `Containers can run; ${warnings} thing${warnings === 1 ? "" : "s"} could be better`
        : "Everything is fine";
  return `${lines.join("\n")}\n\n${summary}\n`;
};

export const runDoctor = async (argv: readonly string[]): Promise<number> => {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        "data-root": { type: "string" },
        format: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values.help === true) {
      writeSync(STDOUT, HELP);
      return 0;
    }
    const findings = await examineHost(values["data-root"] ?? DEFAULT_DATA_ROOT);
    const text =
      values.format === "json"
        ? `${JSON.stringify(findings, null, 2)}\n`
        : renderFindings(findings, process.stdout.isTTY === true);
    writeSync(STDOUT, text);
    return findings.some((finding) => finding.verdict === "problem") ? 1 : 0;
  } catch (error) {
    writeSync(STDERR, `naru: ${toNaruError(error).message}\n`);
    return 1;
  }
};
