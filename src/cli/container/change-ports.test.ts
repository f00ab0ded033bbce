import { expect, test } from "bun:test";
import { removals } from "#cli/container/change-ports.ts";

test("what is withdrawn: ports, ranges as add takes them, single bindings", () => {
  expect(removals(["80", "53/udp"])).toEqual({ "80/tcp": [], "53/udp": [] });
  expect(removals(["90-92"])).toEqual({ "90/tcp": [], "91/tcp": [], "92/tcp": [] });
  expect(removals(["5-6/udp"])).toEqual({ "5/udp": [], "6/udp": [] });
  expect(Object.keys(removals(["8080-8081:80-81"]))).toEqual(["80/tcp", "81/tcp"]);
  expect(() => removals(["9-8"])).toThrow('invalid port specification: "9-8"');
});
