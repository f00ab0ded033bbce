/** Builds by LLB definitions, as programs make them that use BuildKit without a Dockerfile. */
import { expect } from "bun:test";

import { BUSYBOX, check, dockerOk, naruOnly } from "../harness/check.ts";
import { imageName } from "../harness/buildx.ts";
import { Definition, type InputOf, solveAs } from "../harness/llb.ts";

const options = { skip: naruOnly("gRPC on the socket itself") };
const bytes = (text: string): Uint8Array => Buffer.from(text);

const base = (definition: Definition): InputOf =>
  definition.add({
    case: "source",
    value: { identifier: `docker-image://docker.io/${BUSYBOX}` } as never,
  });

const exec = (definition: Definition, root: InputOf, script: string, more: object = {}): InputOf =>
  definition.add(
    {
      case: "exec",
      value: {
        meta: { args: ["sh", "-c", script], cwd: "/", env: ["WHO=llb"] },
        mounts: [{ input: 0n, dest: "/", output: 0n }],
        ...more,
      } as never,
    },
    [root],
  );

const file = (definition: Definition, inputs: readonly InputOf[], ...actions: object[]): InputOf =>
  definition.add({ case: "file", value: { actions } as never }, inputs);

const mkfile = (path: string, text: string, input: bigint, output: bigint): object => ({
  input,
  secondaryInput: -1n,
  output,
  action: { case: "mkfile", value: { path, mode: 0o640, data: bytes(text), timestamp: -1n } },
});

const scratchFile = (definition: Definition, path: string, text: string): InputOf =>
  file(definition, [], mkfile(path, text, -1n, 0n));

check(
  "a process on an image, and files that are made, copied, linked and removed",
  async (t) => {
    const name = imageName(t);
    const definition = new Definition();
    const made = exec(definition, base(definition), `echo "by $WHO" > /made; echo x > /gone`);
    const other = scratchFile(definition, "/other", "other\n");
    const result = file(
      definition,
      [made, other],
      {
        input: 0n,
        secondaryInput: -1n,
        output: -1n,
        action: {
          case: "mkdir",
          value: { path: "/d/e", mode: 0o751, makeParents: true, timestamp: -1n },
        },
      },
      {
        input: 2n,
        secondaryInput: 1n,
        output: -1n,
        action: {
          case: "copy",
          value: { src: "/other", dest: "/d/e/", mode: -1, createDestPath: true, timestamp: -1n },
        },
      },
      {
        input: 3n,
        secondaryInput: -1n,
        output: -1n,
        action: { case: "rm", value: { path: "/gone" } },
      },
      {
        input: 4n,
        secondaryInput: -1n,
        output: 0n,
        action: {
          case: "symlink",
          value: { oldpath: "/d/e/other", newpath: "/l", timestamp: -1n },
        },
      },
    );
    await solveAs(name, definition.encode(result));
    const look = "cat /made /l; stat -c %a /d/e; ls /gone 2>&1";
    const said = await dockerOk("run", "--rm", name, "sh", "-c", `${look} || true`);
    expect(said).toStartWith("by llb\nother\n751\n");
    expect(said).toContain("No such file");
  },
  options,
);

check(
  "layers are merged, and taken off what they stand on",
  async (t) => {
    const name = imageName(t);
    const definition = new Definition();
    const root = base(definition);
    const changed = exec(definition, root, "echo new > /new; mkdir /dir");
    const upper = { lower: { input: 0n }, upper: { input: 1n } };
    const diff = definition.add({ case: "diff", value: upper as never }, [root, changed]);
    const first = scratchFile(definition, "/both", "first");
    const second = scratchFile(definition, "/both", "second");
    const all = [root, first, second, diff];
    const inputs = all.map((_, index) => ({ input: BigInt(index) }));
    const merged = definition.add({ case: "merge", value: { inputs } as never }, all);
    await solveAs(name, definition.encode(merged));
    const said = await dockerOk("run", "--rm", name, "sh", "-c", "cat /both /new; ls -d /dir");
    expect(said).toBe("secondnew\n/dir");
  },
  options,
);

check(
  "a mount is an output of its own, and the root is left alone",
  async (t) => {
    const name = imageName(t);
    const definition = new Definition();
    const root = base(definition);
    const input = scratchFile(definition, "/in", "from a mount");
    const run = definition.add(
      {
        case: "exec",
        value: {
          meta: { args: ["sh", "-c", "cat /src/in > /out/copied; echo no > /root-file"], cwd: "/" },
          mounts: [
            { input: 0n, dest: "/", output: 0n },
            { input: 1n, dest: "/src", readonly: true, output: -1n },
            { input: -1n, dest: "/out", output: 1n },
          ],
        } as never,
      },
      [root, input],
    );
    const out = { ...run, index: 1n };
    const inputs = [{ input: 0n }, { input: 1n }];
    const merged = definition.add({ case: "merge", value: { inputs } as never }, [root, out]);
    await solveAs(name, definition.encode(merged));
    const script = "cat /copied; ls /root-file 2>/dev/null || echo none";
    expect(await dockerOk("run", "--rm", name, "sh", "-c", script)).toBe("from a mountnone");
  },
  options,
);

check(
  "a definition that lies in a file is built in its turn, and an input is handed on",
  async (t) => {
    const name = imageName(t);
    const inner = new Definition();
    const nested = inner.encode(scratchFile(inner, "/inner", "from within"));
    const definition = new Definition();
    const carrier = file(definition, [], {
      input: -1n,
      secondaryInput: -1n,
      output: 0n,
      action: {
        case: "mkfile",
        value: { path: "/its.llb", mode: 0o600, data: nested, timestamp: -1n },
      },
    });
    const value = {
      builder: -1n,
      inputs: { "buildkit.llb.definition": { input: 0n } },
      attrs: { "llbbuild.filename": "its.llb" },
    };
    const built = definition.add({ case: "build", value: value as never }, [carrier]);
    const second = scratchFile(definition, "/unused", "no");
    const passed = definition.add(
      { case: "passthrough", value: { id: "p", outputs: [1n, 0n] } as never },
      [built, second],
    );
    const root = base(definition);
    const inputs = [{ input: 0n }, { input: 1n }];
    const own = { ...passed, index: 1n };
    const merged = definition.add({ case: "merge", value: { inputs } as never }, [root, own]);
    await solveAs(name, definition.encode(merged));
    const script = "cat /inner; ls /unused 2>/dev/null || echo ' alone'";
    expect(await dockerOk("run", "--rm", name, "sh", "-c", script)).toBe("from within alone");
  },
  options,
);

check(
  "limits of a process come with its metadata",
  async (t) => {
    const name = imageName(t);
    const definition = new Definition();
    const files = "memory/memory.limit_in_bytes cpu/cpu.shares memory.max cpu.weight";
    const script = `cd /sys/fs/cgroup; cat ${files} 2>/dev/null > /limits; true`;
    const root = base(definition);
    const limited = exec(definition, root, script);
    definition.describe(limited, { linuxResources: { memory: 67_108_864n, cpuShares: 300n } });
    await solveAs(name, definition.encode(limited));
    const said = await dockerOk("run", "--rm", name, "cat", "/limits");
    expect(said).toMatch(/^67108864\n(300|[0-9]{2})$/);
  },
  options,
);

check(
  "what is not supported is refused by name",
  async (t) => {
    const refusal = async (make: (definition: Definition) => InputOf): Promise<string> => {
      const definition = new Definition();
      const encoded = definition.encode(make(definition));
      return await solveAs(imageName(t), encoded).then(
        () => "it was built",
        (error: unknown) => String(error),
      );
    };
    const insecure = await refusal((d) => exec(d, base(d), "true", { security: 1 }));
    expect(insecure).toContain("asks for security.insecure: --allow security.insecure grants it");
    const host = await refusal((d) => exec(d, base(d), "true", { network: 1 }));
    expect(host).toContain("--allow network.host grants it");
    const build = await refusal((d) => d.add({ case: "build", value: {} as never }, [base(d)]));
    expect(build).toContain('the builder 0 of the op "build"');
    const source = await refusal((d) =>
      d.add({ case: "source", value: { identifier: "ftp://x/y" } as never }),
    );
    expect(source).toContain('a source "ftp://"');
    const failed = await refusal((d) => exec(d, base(d), "exit 7"));
    expect(failed).toContain('process "sh -c exit 7" did not complete successfully: exit code: 7');
  },
  options,
);
