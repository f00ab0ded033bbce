import { describe, expect, test } from "bun:test";
import { renderListing } from "#cli/format/listing.ts";
import { parseMoment } from "#cli/format/moment.ts";
import { alignColumns } from "#cli/format/table.ts";
import { formatUtc } from "#cli/format/time.ts";
import { bytesSize, humanDuration, humanSize, parseDuration, parseRam } from "#cli/format/units.ts";

test("sizes as docker writes them", () => {
  expect([0, 999, 1000, 1_234_567, 5_000_000_000].map((size) => humanSize(size))).toEqual([
    "0B",
    "999B",
    "1kB",
    "1.235MB",
    "5GB",
  ]);
  expect(humanSize(1_984_000, 3)).toBe("1.98MB");
  expect([1024, 1_572_864, 25_275_000_000].map(bytesSize)).toEqual(["1KiB", "1.5MiB", "23.54GiB"]);
});

test("sizes as people write them", () => {
  expect(["100", "1k", "1kb", "1KiB", "1.5g", "2t", "10b"].map(parseRam)).toEqual([
    100,
    1024,
    1024,
    1024,
    1_610_612_736,
    2 * 1024 ** 4,
    10,
  ]);
  for (const bad of ["", "abc", "1x", "-1", "1ib"])
    expect(() => parseRam(bad)).toThrow(`invalid size: '${bad}'`);
});

describe("lengths of time", () => {
  const cases: readonly (readonly [number, string])[] = [
    [0.4, "Less than a second"],
    [1, "1 second"],
    [59, "59 seconds"],
    [60, "About a minute"],
    [119, "About a minute"],
    [180, "3 minutes"],
    [3600, "About an hour"],
    [7200, "2 hours"],
    [86_400, "24 hours"],
    [3 * 86_400, "3 days"],
    [15 * 86_400, "2 weeks"],
    [90 * 86_400, "3 months"],
    [800 * 86_400, "2 years"],
  ];
  for (const [seconds, words] of cases) {
    test(words, () => expect(humanDuration(seconds)).toBe(words));
  }
});

test("Go's durations", () => {
  expect(["1s", "1m30s", "1.5h", "100ms", "0", "-2s", "1us"].map(parseDuration)).toEqual([
    1e9, 90e9, 5400e9, 1e8, 0, -2e9, 1000,
  ]);
  expect(() => parseDuration("5")).toThrow('time: missing unit in duration "5"');
  expect(() => parseDuration("x")).toThrow('time: invalid duration "x"');
});

test("moments: epochs, instants, and times ago", () => {
  expect(parseMoment("1700000000")).toBe("1700000000");
  expect(parseMoment("2023-11-14T22:13:20Z")).toBe("1700000000.000000000");
  expect(parseMoment("2023-11-14T22:13:20.5+00:00")).toBe("1700000000.500000000");
  expect(Math.abs(Number(parseMoment("10m")) - (Date.now() / 1000 - 600))).toBeLessThan(2);
  expect(() => parseMoment("soon")).toThrow('failed to parse value as time or duration: "soon"');
});

test("columns are three apart and at least ten wide", () => {
  expect(alignColumns(["ID\tNAME\tX", "abcdefghijkl\tw\ty"])).toBe(
    "ID             NAME      X\nabcdefghijkl   w         y\n",
  );
});

const rows = [
  { ID: "1", Name: "web", Note: () => "a<b" },
  { ID: "2", Name: "database", Note: () => "" },
];
const list = (format?: string, quietField?: string) =>
  renderListing({
    defaultTemplate: "{{.ID}}\t{{.Name}}",
    headers: { ID: "THE ID", Name: "NAME", Note: "NOTE" },
    rows,
    raw: { the_id: "ID", name: "Name", note: "Note" },
    format,
    quietField,
  });

test("lists: raw, a field a line", () => {
  expect(list("raw")).toBe(
    "the_id: 1\nname: web\nnote: a<b\n\nthe_id: 2\nname: database\nnote:\n\n",
  );
  expect(list("raw", "ID")).toBe("the_id: 1\nthe_id: 2\n");
});

test("instants as Go writes them", () => {
  expect(formatUtc("2026-11-23T15:22:30.934478000Z")).toBe("2026-11-23 15:22:30.934478 +0000 UTC");
  expect(formatUtc("2026-11-23T15:22:30.000Z")).toBe("2026-11-23 15:22:30 +0000 UTC");
  expect(formatUtc("2026-11-23T15:22:30Z")).toBe("2026-11-23 15:22:30 +0000 UTC");
});

test("lists: table, chosen columns, template, JSON, quiet", () => {
  expect(list()).toBe("THE ID    NAME\n1         web\n2         database\n");
  expect(list("table")).toBe(list());
  expect(list(String.raw`table {{.Name}}\t{{upper .Note}}`)).toBe(
    "NAME       NOTE\nweb        A<B\ndatabase   \n",
  );
  expect(list("{{.Name}}={{.ID}}")).toBe("web=1\ndatabase=2\n");
  expect(list("json")).toBe(
    '{"ID":"1","Name":"web","Note":"a<b"}\n{"ID":"2","Name":"database","Note":""}\n',
  );
  expect(list(undefined, "ID")).toBe("1\n2\n");
  expect(() => list("{{.Foo}}")).toThrow("failed to execute template");
  expect(() => list("{{foo}}")).toThrow(
    'failed to parse template: template: :1: function "foo" not defined',
  );
});
