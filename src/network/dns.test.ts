import { expect, test } from "bun:test";
import { type Answer, decode, encode } from "dns-packet";
import { type DnsView, answerQuery } from "#network/dns-answer.ts";
import { renderDnsRules } from "#network/dns-sockets.ts";
import { DnsZone } from "#network/dns-zone.ts";
import { renderEngineResolvConf } from "#network/files.ts";
import type { Endpoint, Sandbox } from "#network/network.ts";

const keep = <T>(list: readonly T[]): T[] => [...list];

const many = Array.from({ length: 200 }, (_, index) => `10.0.0.${index + 1}`);
const view: DnsView = {
  lookup: (name) =>
    ({ web: ["10.0.0.2", "10.0.0.3"], many, six: ["fd00::2"] })[name as "web" | "many" | "six"],
  reverse: (address) => (address === "10.0.0.2" ? "web.own" : undefined),
};

const query = (name: string, type: "A" | "AAAA" | "PTR" | "MX", udpPayloadSize?: number): Buffer =>
  encode({
    type: "query",
    id: 4711,
    flags: 256,
    questions: [{ type, name }],
    ...(udpPayloadSize === undefined
      ? {}
      : {
          additionals: [{ type: "OPT", name: ".", udpPayloadSize, flags: 0, options: [] } as never],
        }),
  });

const ask = (bytes: Uint8Array, limit?: number) => {
  const verdict = answerQuery(bytes, view, keep, limit);
  return verdict.kind === "answer"
    ? { kind: verdict.kind, packet: decode(Buffer.from(verdict.bytes)), size: verdict.bytes.length }
    : { kind: verdict.kind };
};

const rcodeOf = (packet: object | undefined): unknown => (packet as { rcode?: string }).rcode;

const dataOf = (answers: Answer[] | undefined): unknown[] =>
  (answers ?? []).map((answer) => (answer as { data?: unknown }).data);

test("names of containers are answered, in any spelling; others are forwarded", () => {
  const { packet } = ask(query("WeB", "A"));
  expect([packet?.id, packet?.type, packet?.flag_ra, packet?.flag_rd]).toEqual([
    4711,
    "response",
    true,
    true,
  ]);
  expect(packet?.questions?.[0]?.name).toBe("WeB");
  expect(dataOf(packet?.answers)).toEqual(["10.0.0.2", "10.0.0.3"]);
  // The name is there, an address of this family is not: not "no such name".
  const six = ask(query("web", "AAAA")).packet;
  expect([rcodeOf(six), six?.answers]).toEqual(["NOERROR", []]);
  expect(dataOf(ask(query("six", "AAAA")).packet?.answers)).toEqual(["fd00::2"]);
  expect(ask(query("example.org", "A")).kind).toBe("forward");
  expect(ask(query("web", "MX")).kind).toBe("forward");
});

test("reverse names", () => {
  expect(dataOf(ask(query("2.0.0.10.in-addr.arpa", "PTR")).packet?.answers)).toEqual(["web.own"]);
  expect(ask(query("9.0.0.10.in-addr.arpa", "PTR")).kind).toBe("forward");
});

test("answers keep to the size that the client takes", () => {
  const plain = ask(query("many", "A"));
  expect(plain.size).toBeLessThanOrEqual(512);
  expect(plain.packet?.flag_tc).toBe(true);
  const wide = ask(query("many", "A", 4096));
  expect(wide.packet?.flag_tc).toBe(false);
  expect(wide.packet?.answers).toHaveLength(200);
  expect(wide.packet?.additionals?.[0]?.type).toBe("OPT");
  const byTcp = ask(query("many", "A"), 65_535);
  expect([byTcp.packet?.flag_tc, byTcp.packet?.answers?.length]).toEqual([false, 200]);
});

test("what is no query is ignored, what is a broken one is told", () => {
  expect(ask(new Uint8Array(5)).kind).toBe("ignore");
  const response = encode({ type: "response", id: 1, questions: [{ type: "A", name: "web" }] });
  expect(ask(response).kind).toBe("ignore");
  const two = [{ type: "A", name: "web" } as const, { type: "A", name: "x" } as const];
  expect(rcodeOf(ask(encode({ type: "query", id: 1, questions: two })).packet)).toBe("FORMERR");
  const cut = query("web", "A").subarray(0, 15);
  expect(rcodeOf(ask(cut).packet)).toBe("FORMERR");
  const update = encode({ type: "query", id: 1, flags: 5 << 11, questions: two.slice(0, 1) });
  expect(rcodeOf(ask(update).packet)).toBe("NOTIMP");
});

const sandbox = (id: string, ...endpoints: Partial<Endpoint>[]): Sandbox =>
  ({
    sandboxId: id,
    endpoints: endpoints.map((one, index) => ({
      networkId: "n",
      networkName: "Own",
      endpointId: `${id}${index}`,
      names: [],
      ...one,
    })),
  }) as unknown as Sandbox;

test("the zone follows the sandboxes", () => {
  const zone = new DnsZone();
  const a = sandbox("a", { ip: "10.0.0.2", names: ["One", "web"] }, { networkId: "bridge" });
  zone.set(a);
  zone.set(sandbox("b", { ip: "10.0.0.3", names: ["two", "web"] }));
  expect(zone.lookup("n", "one")).toEqual(["10.0.0.2"]);
  expect(zone.lookup("n", "web.own")).toEqual(["10.0.0.2", "10.0.0.3"]);
  expect(zone.lookup("other", "web")).toBeUndefined();
  expect(zone.reverse("n", "10.0.0.3")).toBe("two.Own");
  const { version } = zone;
  zone.set(sandbox("a", { ip: "10.0.0.2", names: ["new"] }));
  expect(zone.version).toBeGreaterThan(version);
  expect([zone.lookup("n", "one"), zone.lookup("n", "web")]).toEqual([undefined, ["10.0.0.3"]]);
  zone.delete(a);
  zone.delete(a);
  expect([zone.lookup("n", "new"), zone.reverse("n", "10.0.0.2")]).toEqual([undefined, undefined]);
});

test("files and rules of a container with names", () => {
  const overrides = { servers: ["9.9.9.9"], search: [], options: [] };
  const host = "nameserver 10.0.0.1\nsearch lan\noptions edns0\n";
  expect(renderEngineResolvConf("127.0.0.11", { host, overrides })).toBe(
    "nameserver 127.0.0.11\nsearch lan\noptions edns0 ndots:0\n",
  );
  const own = { servers: [], search: ["."], options: ["ndots:2"] };
  expect(renderEngineResolvConf("127.0.0.11", { host, overrides: own })).toBe(
    "nameserver 127.0.0.11\noptions ndots:2\n",
  );
  expect(renderDnsRules(4000, 5000)).toContain("udp dport 53 udp dport set 4000\n");
});
