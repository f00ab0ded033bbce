import { expect, test } from "bun:test";
import { contextTest } from "#cli/build/watch.ts";

const cases: readonly (readonly [
  dockerfile: string,
  ignore: string,
  path: string,
  matters: boolean,
])[] = [
  ["FROM x\nCOPY src /src", "", "src/a/b.ts", true],
  ["FROM x\nCOPY src /src", "", "src", true],
  ["FROM x\nCOPY ./src/ /src", "", "src/a", true],
  ["FROM x\nCOPY src /src", "", "README.md", false],
  ["FROM x\nCOPY src /src", "", "src2/a", false],
  ["FROM x\nCOPY src /src", "src/*.log", "src/a.log", false],
  ["FROM x\nCOPY . /src", "", "anything", true],
  ["FROM x\nADD *.json /src", "", "package.json", true],
  ["FROM x\nADD *.json /src", "", "d/package.json", false],
  ["FROM x\nRUN true", "", "a", false],
  ["FROM x AS y\nFROM z\nCOPY --from=y /a /a", "", "a", false],
  ["FROM x\nARG dir\nCOPY $dir /a", "", "a", true],
  ["FROM x\nRUN --mount=type=bind,target=/c make", "", "a", true],
  ["FROM x\nRUN --mount=type=bind,target=/c make", "a", "a", false],
  ["FROM x\nNOTHING", "", "a", true],
];

for (const [dockerfile, ignore, path, matters] of cases) {
  test(`${JSON.stringify(dockerfile)} ${ignore}: ${path} ${matters ? "matters" : "does not matter"}`, () => {
    expect(contextTest(dockerfile, ignore)(path)).toBe(matters);
  });
}
