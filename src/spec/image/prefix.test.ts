import { expect, test } from "bun:test";
import { longestPrefix } from "#spec/image/prefix.ts";

test("prefixes cover whole parts of names, the longest one wins", () => {
  const rules = {
    "docker.io": 1,
    "docker.io/team": 2,
    tool: 3,
    "team/web": 4,
    localhost: 5,
    "host:5000": 6,
    "docker.io/library/debian": 7,
  };
  const found = (name: string) => longestPrefix(rules, name)?.rule;
  expect(found("docker.io/library/alpine")).toBe(1);
  expect(found("docker.io/team/app")).toBe(2);
  expect(found("docker.io/library/team")).toBe(2);
  expect(found("docker.io/teams/app")).toBe(1);
  expect(found("docker.io/library/tool")).toBe(3);
  expect(found("docker.io/team/web")).toBe(4);
  expect(found("docker.io/team/web2")).toBe(2);
  expect(found("docker.io/library/debian")).toBe(7);
  expect(found("localhost/a")).toBe(5);
  expect(found("host:5000/a/b")).toBe(6);
  expect(found("host:50001/a")).toBeUndefined();
});
