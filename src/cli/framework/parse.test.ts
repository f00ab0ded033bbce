import { describe, expect, test } from "bun:test";
import { bool, enabled, filter, integer, list, text, unsupported } from "#cli/framework/flags.ts";
import { checkArguments, parseFlags } from "#cli/framework/parse.ts";
import { distance, suggest } from "#cli/framework/suggest.ts";

const flags = {
  all: bool("", "a"),
  interactive: bool("", "i"),
  tty: bool("", "t"),
  env: list("", "e"),
  name: text(""),
  network: text("", undefined, { aliases: ["net"] }),
  publish: list("", "p"),
  "sig-proxy": enabled(""),
  last: integer("", "n"),
  filter: filter(),
};

const parse = (line: string, isInterspersed = true) =>
  parseFlags(flags, line === "" ? [] : line.split(" "), isInterspersed);

const CASES: readonly (readonly [string, object, readonly string[]])[] = [
  ["", {}, []],
  ["-a", { all: true }, []],
  ["--all", { all: true }, []],
  ["--all=true", { all: true }, []],
  ["--all=false", { all: false }, []],
  ["-a=false", { all: false }, []],
  ["-it", { interactive: true, tty: true }, []],
  ["-itp 80:80 x", { interactive: true, tty: true, publish: ["80:80"] }, ["x"]],
  ["-p80:80 -p=81:81 -p 82:82", { publish: ["80:80", "81:81", "82:82"] }, []],
  ["--publish 80 --publish=81", { publish: ["80", "81"] }, []],
  ["-e A -e B=1 --env C=2=3", { env: ["A", "B=1", "C=2=3"] }, []],
  ["--name web x", { name: "web" }, ["x"]],
  ["--name=web x", { name: "web" }, ["x"]],
  ["--name= x", { name: "" }, ["x"]],
  ["--net host", { network: "host" }, []],
  ["--sig-proxy=false", { "sig-proxy": false }, []],
  ["--sig-proxy=0", { "sig-proxy": false }, []],
  ["-n 5", { last: 5 }, []],
  ["-n5", { last: 5 }, []],
  ["-n -1", { last: -1 }, []],
  ["x -a y", { all: true }, ["x", "y"]],
  ["-a -- -t x", { all: true, tty: false }, ["-t", "x"]],
  ["- x", {}, ["-", "x"]],
  ["-f a=1 -f a=2 -f b=x=y", { filter: { a: ["1", "2"], b: ["x=y"] } }, []],
];

describe("docker's grammar", () => {
  for (const [line, values, args] of CASES) {
    test(line, () => {
      const parsed = parse(line);
      expect(parsed.values).toMatchObject(values);
      expect(parsed.args).toEqual(args);
    });
  }
});

test("the first argument ends the flags where a command follows", () => {
  const parsed = parse("-it image sh -a --name x", false);
  expect(parsed.values).toMatchObject({ interactive: true, tty: true, all: false });
  expect(parsed.args).toEqual(["image", "sh", "-a", "--name", "x"]);
});

test("what was given is known apart from what it is", () => {
  expect([...parse("--sig-proxy=true -a").changed]).toEqual(["sig-proxy", "all"]);
});

test("help is found as long and as short flag, unless -h is taken", () => {
  expect(parse("--help").isHelp).toBe(true);
  expect(parse("-h").isHelp).toBe(true);
  const taken = parseFlags({ hostname: text("", "h") }, ["-h", "web"]);
  expect(taken.isHelp).toBe(false);
  expect(taken.values.hostname).toBe("web");
});

const MISTAKES: readonly (readonly [string, string])[] = [
  ["--naem x", "unknown flag: --naem\n\nDid you mean --name?"],
  ["--nothing-like-it", "unknown flag: --nothing-like-it"],
  ["-x", "unknown shorthand flag: 'x' in -x"],
  ["-ix", "unknown shorthand flag: 'x' in -ix"],
  ["--name", "flag needs an argument: --name"],
  ["-e", "flag needs an argument: 'e' in -e"],
  ["--all=maybe", 'invalid argument "maybe" for "-a, --all" flag'],
  ["-n x", 'invalid argument "x" for "-n, --last" flag'],
  ["-f x", 'invalid argument "x" for "-f, --filter" flag: bad format of filter'],
];

describe("mistakes are named", () => {
  for (const [line, message] of MISTAKES) {
    test(line, () => expect(() => parse(line)).toThrow(message));
  }
});

test("counts of arguments", () => {
  const check = (min: number, max: number, given: number) => () =>
    checkArguments("naru x", { min, max }, given);
  expect(check(0, 0, 1)).toThrow("'naru x' accepts no arguments");
  expect(check(1, 1, 2)).toThrow("'naru x' requires 1 argument");
  expect(check(2, 2, 1)).toThrow("'naru x' requires 2 arguments");
  expect(check(1, Number.POSITIVE_INFINITY, 0)).toThrow("'naru x' requires at least 1 argument");
  expect(check(0, 1, 2)).toThrow("'naru x' requires at most 1 argument");
  expect(check(1, 2, 2)).not.toThrow();
});

test("slips of the fingers", () => {
  expect(distance("naem", "name")).toBe(1);
  expect(suggest("imgaes", ["images", "image", "inspect"])).toBe("images");
  expect(suggest("xyz", ["images", "run"])).toBeUndefined();
});

test("a flag that is known and not supported is refused with the remedy; its negation is fine", () => {
  const flag = unsupported("use the other one");
  expect(flag.parse("false", false)).toBe(false);
  expect(() => flag.parse("true", false)).toThrow("it is not supported: use the other one");
});
