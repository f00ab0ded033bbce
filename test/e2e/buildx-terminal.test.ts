/** buildx on a terminal: rows that change, with what the engine tells of each vertex. */
import { expect } from "bun:test";
import { stripVTControlCharacters } from "node:util";

import { write } from "../harness/build.ts";
import { buildxCommand } from "../harness/buildx-client.ts";
import { buildxCheck } from "../harness/buildx.ts";
import { BUSYBOX, type Check, engine, run } from "../harness/check.ts";

const quoted = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`;

/** In a pseudo-terminal of its own; what the screen was written, without its colours. */
const onTerminal = async (t: Check, ...args: string[]): Promise<string> => {
  const { argv, env } = buildxCommand(engine.host, args);
  const command = `stty cols 100 rows 50; ${argv.map(quoted).join(" ")}`;
  const { stdout } = await run(["script", "-qec", command, `${t.folder()}/typescript`], { env });
  return stripVTControlCharacters(stdout).replaceAll("\r", "");
};

const isHere = Bun.which("script") !== null;
const options = isHere ? {} : { skip: "script(1) is not here" };

buildxCheck(
  "a terminal shows steps, output and where it ended",
  async (t) => {
    const mark = t.name();
    const folder = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nRUN echo said ${mark}; sleep 1\nRUN true ${mark}\n`,
    });
    const first = await onTerminal(t, "build", "--progress", "tty", folder);
    expect(first).toMatch(/\[\+\] Building \d+\.\d+s \(\d+\/\d+\)/);
    expect(first).toContain(`[2/3] RUN echo said ${mark}`);
    // Its own words stand below the step that runs.
    expect(first).toMatch(new RegExp(`# said ${mark}`));
    expect(first).toMatch(/\[\+\] Building \S+ \((\d+)\/\1\) FINISHED/);
    const second = await onTerminal(t, "build", "--progress", "tty", folder);
    expect(second).toContain(`CACHED [2/3] RUN echo said ${mark}`);
    const failing = write(t.folder(), {
      Dockerfile: `FROM ${BUSYBOX}\nRUN echo last words of ${mark}; exit 5\n`,
    });
    const failed = await onTerminal(t, "build", "--progress", "tty", failing);
    expect(failed).toContain(`ERROR [2/2] RUN echo last words of ${mark}`);
    expect(failed).toContain("exit code: 5");
    // The place in the file.
    expect(failed).toMatch(/Dockerfile:2\n-+\n +1 \| +FROM .*\n +2 \| >>> RUN echo last words/);
  },
  options,
);
