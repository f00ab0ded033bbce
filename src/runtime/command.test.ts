import { expect, test } from "bun:test";

const COMMAND = new URL("./command.ts", import.meta.url).pathname;
const LIBRARIES = new URL("./lean-libraries.ts", import.meta.url).pathname;
const PROGRAM = `
  import { runCommand } from "${COMMAND}";
  import { WHOLE_LIBRARIES } from "${LIBRARIES}";
  // As the daemon does it, for whatever is told of the environment later.
  delete process.env["NOTIFY_SOCKET"];
  const said = await runCommand({ runtime: "/bin/sh", libraries: WHOLE_LIBRARIES }, ["-c", "env >&2; exit 3"]);
  console.log(JSON.stringify(said));
`;

test("a runtime hears nothing of the daemon's service manager", async () => {
  const child = Bun.spawn([process.execPath, "-e", PROGRAM], {
    env: { PATH: "/usr/bin:/bin", NOTIFY_SOCKET: "/run/notify" },
    stdout: "pipe",
  });
  const { code, stderr } = JSON.parse(await child.stdout.text()) as {
    code: number;
    stderr: string;
  };
  expect(code).toBe(3);
  expect(stderr).toContain("PATH=");
  expect(stderr).not.toContain("NOTIFY_SOCKET");
});
