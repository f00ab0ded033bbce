import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { readSavedImage } from "#cli/image/explain/archive.ts";
import { explainImage, type Explanation } from "#cli/image/explain/report.ts";
import { cacheOf, secretsIn, secretsInInstruction } from "#cli/image/explain/rules.ts";
import { plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";

const KEY = `-----BEGIN OPENSSH ${"PRIVATE"} KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n`;
const AWS = `AKIA${"IOSFODNN7EXAMPLE"}`;

describe("secrets", () => {
  const cases: readonly (readonly [path: string, text: string, expected: readonly string[]])[] = [
    ["root/.ssh/id_ed25519", KEY, ["private SSH key"]],
    ["app/deploy.pem", `\n\n${KEY}`, ["private key:3"]],
    ["app/cert.pem", "-----BEGIN CERTIFICATE-----\nMII\n", []],
    ["usr/share/doc/openssl/key.pem", KEY, []],
    ["usr/lib/python3/dist-packages/x/tests/key.pem", KEY, []],
    ["app/config.ini", `id = ${AWS}\n`, ["AWS access key:1"]],
    [
      "root/.npmrc",
      "registry=https://r.example\n//r.example/:_authToken=abc123\n",
      ["npm token:2"],
    ],
    ["app/.npmrc", "//r.example/:_authToken=${NPM_TOKEN}\n", []],
    ["app/.env", "PORT=80\nexport DB_PASSWORD='hunter22'\n", ["variable DB_PASSWORD:2"]],
    ["app/.env.example", "DB_PASSWORD=hunter22\n", []],
    ["app/.env", "DB_PASSWORD=\nTOKEN_FILE=/run/x\nAPI_TOKEN=$OTHER\n", []],
    [
      "root/.docker/config.json",
      '{"auths":{"r":{"auth":"dXNlcjpwYXNz"}}}',
      ["registry credentials:1"],
    ],
    ["etc/passwd", "root:x:0:0::/root:/bin/sh\n", []],
    ["bin/tool", `\0ELF ${AWS}`, []],
  ];
  for (const [path, text, expected] of cases) {
    test(`${path}: ${expected.join(", ") || "nothing"}`, () => {
      const marks = secretsIn(path, text).map(({ what, line }) =>
        line === undefined ? what : `${what}:${line}`,
      );
      expect(marks).toEqual([...expected]);
    });
  }

  test("values in the history", () => {
    expect(secretsInInstruction("ENV API_TOKEN=abcdef PORT=80")).toEqual(["API_TOKEN"]);
    expect(secretsInInstruction("|1 NPM_TOKEN=abcdef /bin/sh -c npm ci")).toEqual(["NPM_TOKEN"]);
    expect(secretsInInstruction("ENV PASSWORD_FILE=/run/secrets/p")).toEqual([]);
    expect(secretsInInstruction("RUN PASSWORD=$x make")).toEqual([]);
  });
});

test("caches are known by their directories", () => {
  expect(cacheOf("var/lib/apt/lists/deb.debian.org_x")?.directory).toBe("/var/lib/apt/lists/");
  expect(cacheOf("home/app/.npm/_cacache/index")?.directory).toBe("/home/app/.npm/_cacache/");
  expect(cacheOf("root/.cache/pip/x")?.directory).toBe("/root/.cache/");
  expect(cacheOf("usr/lib/cache/x")).toBeUndefined();
});

const tarOf = (files: Readonly<Record<string, string>>): Buffer => {
  const parts: Uint8Array[] = [];
  for (const [name, text] of Object.entries(files)) {
    const entry = plainEntry(name, { size: Buffer.byteLength(text, "latin1") });
    parts.push(tarHeader(entry), Buffer.from(text, "latin1"), tarPadding(entry.size));
  }
  return Buffer.concat([...parts, TAR_END]);
};

const explain = async (
  steps: readonly (readonly [createdBy: string, files?: Readonly<Record<string, string>>])[],
  pack: (layer: Buffer) => Buffer = (layer) => layer,
  env: readonly string[] = [],
): Promise<Explanation> => {
  const layers = steps.flatMap(([, files]) => (files === undefined ? [] : [pack(tarOf(files))]));
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    config: { Env: env },
    rootfs: {
      type: "layers",
      diff_ids: layers.map((_, index) => `sha256:${String(index).repeat(64)}`),
    },
    history: steps.map(([created_by, files]) => ({
      created_by,
      ...(files === undefined ? { empty_layer: true } : {}),
    })),
  });
  const names = layers.map((_, index) => `blobs/sha256/${index}`);
  const archive = tarOf({
    ...Object.fromEntries(
      layers.map((layer, index) => [names[index] ?? "", layer.toString("latin1")]),
    ),
    "config.json": config,
    "manifest.json": JSON.stringify([{ Config: "config.json", Layers: names }]),
  });
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < archive.length; at += 1000) yield archive.subarray(at, at + 1000);
  };
  return explainImage(await readSavedImage(chunks()));
};

const BIG = "x".repeat(200_000);

for (const [name, pack] of [
  ["plain", (layer: Buffer) => layer],
  ["compressed", (layer: Buffer) => gzipSync(layer)],
] as const) {
  test(`a key that a later instruction deletes is told, with both instructions (${name} layers)`, async () => {
    const { findings, instructions, sizeBytes, wastedBytes } = await explain(
      [
        ["/bin/sh -c #(nop) ADD file:1 in / ", { "bin/sh": BIG }],
        ["/bin/sh -c #(nop)  ENV A=1"],
        ["COPY . /app # buildkit", { "app/id.pem": KEY }],
        ["RUN /bin/sh -c rm /app/id.pem # buildkit", { "app/.wh.id.pem": "" }],
      ],
      pack,
    );
    expect(instructions.map(({ text, sizeBytes: bytes }) => [text, bytes])).toEqual([
      ["ADD file:1 in /", BIG.length],
      ["ENV A=1", 0],
      ["COPY . /app", KEY.length],
      ["RUN /bin/sh -c rm /app/id.pem", 0],
    ]);
    expect(sizeBytes).toBe(BIG.length + KEY.length);
    expect(wastedBytes).toBe(KEY.length);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({
      kind: "secret",
      what: "private key",
      path: "/app/id.pem",
      line: 1,
      instruction: 2,
      removedBy: 3,
    });
    expect(JSON.stringify(findings)).not.toContain("b3BlbnNzaC1rZXk");
  });
}

test("caches, files written anew, and the same content twice", async () => {
  const { findings, wastedBytes } = await explain([
    ["RUN apt-get update", { "var/lib/apt/lists/a": BIG, "app/tool": `${BIG}1` }],
    ["RUN chown app /app/tool", { "app/tool": `${BIG}1` }],
    ["COPY tool /other", { other: `${BIG}1`, "d/.wh..wh..opq": "" }],
  ]);
  const told = findings.map(({ kind, path, instruction }) => [kind, path, instruction]);
  expect(told).toEqual([
    ["cache", "/var/lib/apt/lists/", 0],
    ["replaced", undefined, 0],
    ["duplicate", "/app/tool", 1],
    ["duplicate", "/other", 2],
  ]);
  expect(wastedBytes).toBe(2 * (BIG.length + 1));
});

test("values of secrets in the configuration are told by name alone, once", async () => {
  const told = await explain([
    ["ARG NPM_TOKEN=abcdef"],
    ["RUN |1 NPM_TOKEN=abcdef /bin/sh -c npm ci # buildkit", { b: "" }],
  ]);
  expect(told.findings.map(({ what, instruction }) => [what, instruction])).toEqual([
    ["value of NPM_TOKEN in the history", 0],
  ]);
  expect(told.instructions.map(({ text }) => text)).toEqual([
    "ARG NPM_TOKEN=***",
    "RUN |1 NPM_TOKEN=*** /bin/sh -c npm ci",
  ]);
  const { findings } = await explain([["FROM x", { a: "" }]], undefined, [
    "DB_PASSWORD=hunter22",
    "PATH=/bin",
  ]);
  expect(findings.map(({ what }) => what)).toEqual(["value of DB_PASSWORD in the environment"]);
  expect(JSON.stringify(findings)).not.toContain("hunter22");
});

test("an archive that is no saved image is refused", () => {
  const cut = async function* (): AsyncGenerator<Uint8Array> {
    yield tarOf({ "manifest.json": '[{"Config":"c","Layers":[]}]' });
  };
  expect(readSavedImage(cut())).rejects.toThrow('without "c"');
});
