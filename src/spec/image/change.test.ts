import { expect, test } from "bun:test";
import { type RunConfig, applyChanges } from "#spec/image/change.ts";

const CASES: [changes: string[], before: RunConfig, after: RunConfig][] = [
  [["CMD echo $HOME"], {}, { Cmd: ["/bin/sh", "-c", "echo $HOME"] }],
  [['CMD ["a", "b c"]'], {}, { Cmd: ["a", "b c"] }],
  [["ENTRYPOINT top"], { Cmd: ["x"] }, { Entrypoint: ["/bin/sh", "-c", "top"], Cmd: null }],
  [['CMD ["b"]', 'ENTRYPOINT ["a"]'], {}, { Cmd: ["b"], Entrypoint: ["a"] }],
  [
    ["ENV A=1 B='x y'", "env C $A and more"],
    { Env: ["A=0"] },
    { Env: ["A=1", "B=x y", "C=1 and more"] },
  ],
  [["ENV A=${B:-none}"], {}, { Env: ["A=none"] }],
  [
    ["EXPOSE 80 53/udp 8000-8001"],
    {},
    { ExposedPorts: { "80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {} } },
  ],
  [['LABEL a=b "c d"="e f"'], { Labels: { x: "y" } }, { Labels: { x: "y", a: "b", "c d": "e f" } }],
  [["ONBUILD RUN x"], {}, { OnBuild: ["RUN x"] }],
  [
    ["USER web:www", "WORKDIR /srv", "WORKDIR app"],
    {},
    { User: "web:www", WorkingDir: "/srv/app" },
  ],
  [["VOLUME /a /b", 'VOLUME ["/c d"]'], {}, { Volumes: { "/a": {}, "/b": {}, "/c d": {} } }],
  [
    ['STOPSIGNAL SIGTERM\nSHELL ["/bin/bash","-c"]\nCMD x'],
    {},
    { StopSignal: "SIGTERM", Shell: ["/bin/bash", "-c"], Cmd: ["/bin/bash", "-c", "x"] },
  ],
  [
    ["HEALTHCHECK --interval=1m30s --retries=3 CMD curl localhost"],
    {},
    { Healthcheck: { Interval: 90e9, Retries: 3, Test: ["CMD-SHELL", "curl localhost"] } },
  ],
  [["HEALTHCHECK NONE"], {}, { Healthcheck: { Test: ["NONE"] } }],
];
for (const [changes, before, after] of CASES) {
  test(changes.join("; "), () => expect(applyChanges(before, changes)).toEqual(after));
}

test("what no change may say is refused by name", () => {
  expect(() => applyChanges({}, ["RUN x"])).toThrow("RUN is not a valid change command");
  expect(() => applyChanges({}, ["ENV"])).toThrow("ENV requires at least one argument");
  expect(() => applyChanges({}, ["EXPOSE 99999"])).toThrow("invalid containerPort: 99999");
  expect(() => applyChanges({}, ['ENV A="x'])).toThrow("matching double-quote");
  expect(() => applyChanges({}, ["HEALTHCHECK maybe"])).toThrow("Unknown type in HEALTHCHECK");
});
