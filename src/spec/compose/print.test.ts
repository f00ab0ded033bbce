/** What `config` shows beside the model itself; the texts are docker compose 2.40's own. */
import { expect, test } from "bun:test";
import { loadProject } from "#spec/compose/load.ts";
import type { LoadOptions } from "#spec/compose/project.ts";
import { printAsWritten, printJson, printYaml } from "#spec/compose/print.ts";
import { loadYamlLibrary } from "#spec/compose/yaml.ts";

await loadYamlLibrary();

const load = (text: string, changes: Partial<LoadOptions> = {}) =>
  loadProject({
    source: { read: (path) => (path.endsWith("compose.yaml") ? text : undefined) },
    files: ["/p/compose.yaml"],
    workingDirectory: "/p",
    fallbackName: "p",
    environment: {},
    profiles: [],
    ...changes,
  }).model;

test("JSON: keys in their order, Go's escapes, no line end behind it", () => {
  const text = `
x-b: [[], "<&>"]
services: {a: {image: "i$$1", blkio_config: {weight_device: [{path: /dev/a, weight: 5}]}}}
`;
  expect(printJson(load(text))).toBe(String.raw`{
  "name": "p",
  "networks": {
    "default": {
      "name": "p_default",
      "ipam": {}
    }
  },
  "services": {
    "a": {
      "blkio_config": {
        "weight_device": [
          {
            "Path": "/dev/a",
            "Weight": 5
          }
        ]
      },
      "command": null,
      "entrypoint": null,
      "image": "i$$1",
      "networks": {
        "default": null
      }
    }
  },
  "x-b": [
    null,
    "\u003c\u0026\u003e"
  ]
}`);
});

test("variables stay as they are where numbers, ports and folders are meant", () => {
  const text = `
services:
  a:
    image: "img:\${TAG:-1}"
    command: echo \${A:-b c}
    ports: ["\${PORT:-80}:80", "8080:81"]
    volumes: ["\${DIR:-./x}:/y", "./r:/r", "\${V}:/z"]
    deploy: {replicas: "\${N:-2}"}
    tty: \${T:-true}
    environment: ["A=\${A}", B]
    build: {context: "\${CTX:-.}"}
    env_file: \${EF:-x.env}
`;
  const model = load(text, { isInterpolated: false, isEnvironmentResolved: false });
  expect(printAsWritten(model, "yaml")).toContain(`services:
  a:
    build:
      context: /p/\${CTX:-.}
      dockerfile: Dockerfile
    command: echo \${A:-b c}
    deploy:
      replicas: \${N:-2}
    env_file:
      - path: /p/\${EF:-x.env}
        required: true
    environment:
      - A=\${A}
      - B
    image: img:\${TAG:-1}
    networks:
      default: null
    ports:
      - \${PORT:-80}:80
      - mode: ingress
        protocol: tcp
        published: "8080"
        target: 81
    tty: \${T:-true}
    volumes:
      - \${DIR:-./x}:/y
      - bind:
          create_host_path: true
        source: /p/r
        target: /r
        type: bind
      - \${V}:/z
`);
});

test("lists of settings that keep their variables are put together by key", () => {
  const text = `
services:
  a: {image: x, environment: ["A=1", "B=$B"]}
---
services:
  a: {environment: {A: 2, C: 3}}
`;
  const model = load(text, { isInterpolated: false, isEnvironmentResolved: false });
  expect(model.services["a"]?.environment as unknown).toEqual(["A=2", "B=$B", "C=3"]);
});

const TEXT = `
services: {a: {build: {context: ./x}, volumes: ["./v:/v/"], depends_on: [b]}, b: {image: x}}
networks: {n: }
`;

test("without what follows from others, and with paths as they are", () => {
  const changes = { isNormalized: false, isPathResolved: false };
  expect(printYaml(load(TEXT, changes))).toBe(`name: p
services:
  a:
    build:
      context: ./x
    depends_on:
      b:
        condition: service_started
        required: true
    volumes:
      - type: bind
        source: ./v
        target: /v
        bind:
          create_host_path: true
  b:
    image: x
networks:
  "n": {}
`);
});

test("a whole that does not hold together is shown when that is not asked", () => {
  const text = "services: {a: {image: x, networks: [gone]}}";
  expect(() => load(text)).toThrow("gone");
  expect(printYaml(load(text, { isChecked: false }))).toContain("gone: null");
});
