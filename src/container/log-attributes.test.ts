import { expect, test } from "bun:test";
import { logAttributesOf, validateLogAttributes } from "#container/log-attributes.ts";
import type { ContainerRecord } from "#container/container.ts";

const record = (options: Record<string, string>): ContainerRecord =>
  ({
    id: "0123456789abcdef".repeat(4),
    name: "web",
    imageId: `sha256:${"9".repeat(64)}`,
    path: "sleep",
    args: ["1"],
    config: {
      Image: "app:1",
      Hostname: "h",
      Labels: { a: "1", "com.b": "2" },
      Env: ["A=x=y", "PATH=/bin", "EMPTY="],
    },
    hostConfig: { LogConfig: { Type: "", Config: options } },
  }) as unknown as ContainerRecord;

const found = (options: Record<string, string>): Record<string, string> =>
  Object.fromEntries(logAttributesOf(record(options)));

test("labels and variables by name and by expression", () => {
  expect(found({})).toEqual({});
  expect(found({ labels: "a, none", env: "A,EMPTY" })).toEqual({ A: "x=y", EMPTY: "", a: "1" });
  expect(found({ "labels-regex": "^com\\.", "env-regex": "^P" })).toEqual({
    PATH: "/bin",
    "com.b": "2",
  });
});

test("a tag is a template over the container", () => {
  expect(found({ tag: "{{.ImageName}}/{{ .Name }}/{{.ID}}" })).toEqual({
    tag: "app:1/web/0123456789ab",
  });
  expect(found({ tag: "{{.Command}} {{.DaemonName}}" })).toEqual({ tag: "sleep 1 naru" });
  expect(found({ tag: "plain" })).toEqual({ tag: "plain" });
});

test("what cannot be used is refused with what can", () => {
  expect(() => validateLogAttributes({ tag: "{{.Nope}}" })).toThrow("{{.ImageName}}");
  expect(() => validateLogAttributes({ "env-regex": "(" })).toThrow("not a regular expression");
  validateLogAttributes({ tag: "{{.ID}}", labels: "a" });
});
