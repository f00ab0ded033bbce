/** Published ports of IPv6 that the process beside cannot listen on. */
import { expect, test } from "bun:test";
import { NaruError } from "#lib/errors.ts";
import { silentLogger } from "#lib/log.ts";
import { checkCarried } from "#network/publisher.ts";
import { Relayer } from "#network/relayer.ts";
import { Relays, hasIpv6 } from "#network/relays.ts";

const relay = { hostIp: "::", hostPort: 8080, ip: "172.17.0.2", port: 80 };
const publication = { forwards: [{ ...relay, protocol: "tcp" as const, fd: -1 }] };
const asked = (HostIp: string) => ({ ports: { "80/tcp": [{ HostIp, HostPort: "8080" }] } });

const refusedFor = async (errno: string) => {
  const relayer = new Relayer(() =>
    Promise.reject(new NaruError("failed_precondition", "no", { details: { errno } })),
  );
  return await relayer.set("one", [relay]);
};

test("a process without a descriptor left fails no container that did not ask for the address", async () => {
  const refused = await refusedFor("EMFILE");
  expect(refused).toEqual([{ ...relay, errno: "EMFILE" }]);
  expect(() => checkCarried(asked(""), publication, refused)).not.toThrow();
  expect(() => checkCarried(asked("::"), publication, refused)).toThrow(
    /\[::\]:8080.*cannot listen there \(EMFILE\)/,
  );
});

test("a port that somebody has is told as such", async () => {
  const refused = await refusedFor("EADDRINUSE");
  for (const hostIp of ["", "::"])
    expect(() => checkCarried(asked(hostIp), publication, refused)).toThrow(/already in use/);
});

test("the end of a container does not wait for a process that answers nothing", async () => {
  const answers = Promise.withResolvers<unknown>();
  const beside = {
    isUp: true,
    onSync: () => undefined,
    ask: () => Promise.resolve([]),
    askRunning: () => answers.promise,
  };
  const ports = { sharePort: () => undefined };
  const relays = new Relays({ beside: beside as never, ports, logger: silentLogger });
  const forward = { ...relay, hostIp: "0.0.0.0", protocol: "tcp" as const, fd: -1 };
  await relays.set("one", [forward], false);
  await relays.delete("one");
  expect(relays.isLeaving(8080)).toBe(hasIpv6());
  answers.resolve([]);
});
