/** Who may do what: passwords, tokens, rules, anonymous pulls; TLS; and who is told of it. */
import { createServer } from "node:http";
import { readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";

import { afterAll, expect, test } from "bun:test";

import { must, until } from "../harness/process.ts";
import { cleanUp, errorOf, pushImage, serve, temporaryDirectory, type Served } from "./world.ts";

afterAll(cleanUp);

const directory = temporaryDirectory();
const basic = (user: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});
const ALICE = basic("alice", "open");
const BOB = basic("bob", "sesame");

const htpasswd = `${directory}/htpasswd`;
const users: readonly [string, string][] = [
  ["alice", "open"],
  ["bob", "sesame"],
];
const hashes = await Promise.all(
  users.map(async ([name, password]) => {
    const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });
    // As Apache's htpasswd spells it.
    return `${name}:${hash.replace("$2b$", "$2y$")}`;
  }),
);
writeFileSync(htpasswd, `${hashes.join("\n")}\n`);

let files = 0;
const config = (content: object): string[] => {
  files += 1;
  const path = `${directory}/${files}.json`;
  writeFileSync(path, JSON.stringify(content));
  return ["--config-file", path];
};

const status = async (url: string, headers = {}, method = "GET"): Promise<number> =>
  (await fetch(url, { method, headers })).status;

test("htpasswd: nobody enters without a password; the file is read again when it changes", async () => {
  const path = `${directory}/changing`;
  writeFileSync(path, hashes[0] ?? "");
  const { url } = await serve(["--htpasswd", path]);
  const asked = await fetch(`${url}/v2/`);
  expect(asked.headers.get("www-authenticate")).toBe('Basic realm="naru registry"');
  expect(await errorOf(asked)).toBe("401 UNAUTHORIZED");
  expect(await status(`${url}/v2/`, ALICE)).toBe(200);
  for (const wrong of [
    basic("alice", "x"),
    basic("eve", "open"),
    basic("", ""),
    { authorization: "Basic !" },
  ]) {
    expect(await status(`${url}/v2/`, wrong)).toBe(401);
  }
  await pushImage(url, "a/b", "v1", { headers: ALICE });
  expect(await status(`${url}/v2/a/b/manifests/v1`, ALICE)).toBe(200);
  expect(await status(`${url}/v2/a/b/manifests/v1`)).toBe(401);
  writeFileSync(path, hashes[1] ?? "");
  await until("bob to be known", async () => (await status(`${url}/v2/`, BOB)) === 200);
  expect(await status(`${url}/v2/`, ALICE)).toBe(401);
});

test("an htpasswd file with other hashes than bcrypt is refused", async () => {
  const path = `${directory}/md5`;
  writeFileSync(path, "alice:$apr1$x$y\n");
  const failure = await serve(["--htpasswd", path]).catch(String);
  expect(failure).toContain("line 1 is not");
});

const RULES = {
  access: [
    { repositories: "public/**", users: ["anonymous"], actions: ["pull"] },
    { repositories: "team/**", users: ["@dev"], actions: ["pull", "push", "delete"] },
    { repositories: "**", users: ["alice"], actions: ["*"] },
  ],
  groups: { dev: ["bob"] },
};

const tokenOf = async (challenge: string, headers: Record<string, string>): Promise<string> => {
  const [, realm, service] = /realm="([^"]*)",service="([^"]*)"/.exec(challenge) ?? [];
  const scopes = /scope="([^"]*)"/.exec(challenge)?.[1]?.split(" ") ?? [];
  const query = new URLSearchParams({ service: service ?? "" });
  for (const scope of scopes) query.append("scope", scope);
  const reply = await fetch(`${realm}?${query.toString()}`, { headers });
  if (!reply.ok) return String(reply.status);
  return ((await reply.json()) as { token: string }).token;
};

/** As a client does: asks, is challenged, fetches a token, asks again. */
const asClient = async (
  url: string,
  method: string,
  headers: Record<string, string>,
): Promise<number> => {
  const first = await fetch(url, { method });
  const challenge = first.headers.get("www-authenticate");
  if (challenge === null) return first.status;
  const token = await tokenOf(challenge, headers);
  return status(url, { authorization: `Bearer ${token}` }, method);
};

test("rules by repository, with tokens so that anonymous pulls work", async () => {
  const { url } = await serve(["--htpasswd", htpasswd, ...config(RULES)]);
  await pushImage(url, "public/app", "v1", { headers: ALICE });
  await pushImage(url, "team/app", "v1", { headers: BOB });
  const base = await fetch(`${url}/v2/`);
  expect(base.status).toBe(401);
  expect(base.headers.get("www-authenticate")).toStartWith(`Bearer realm="${url}/token"`);
  const manifest = (repository: string) => `${url}/v2/${repository}/manifests/v1`;
  const uploads = (repository: string) => `${url}/v2/${repository}/blobs/uploads/`;
  const cases: readonly [string, string, Record<string, string>, number][] = [
    ["GET", manifest("public/app"), {}, 200],
    ["GET", manifest("team/app"), {}, 401],
    ["GET", manifest("team/app"), BOB, 200],
    ["POST", uploads("public/app"), BOB, 401],
    ["POST", uploads("team/other"), BOB, 202],
    ["POST", uploads("elsewhere/app"), BOB, 401],
    ["POST", uploads("elsewhere/app"), ALICE, 202],
    ["GET", `${url}/v2/_catalog`, BOB, 401],
    ["GET", `${url}/v2/_catalog`, ALICE, 200],
    ["POST", `${url}/naru/collect`, BOB, 401],
    ["POST", `${url}/naru/collect`, ALICE, 200],
    ["GET", manifest("team/app"), basic("bob", "wrong"), 401],
  ];
  for (const [method, target, who, expected] of cases) {
    expect(`${method} ${target} ${await asClient(target, method, who)}`).toBe(
      `${method} ${target} ${expected}`,
    );
  }
  // With a password in hand the answer is not "log in" but "no".
  expect(await status(`${url}/v2/_catalog`, BOB)).toBe(403);
  // A blob of another's repository cannot be had by mounting it.
  const blob = (
    (await (await fetch(manifest("team/app"), { headers: BOB })).json()) as {
      config: { digest: string };
    }
  ).config.digest;
  expect(await status(`${url}/v2/public/app/blobs/${blob}`, ALICE)).not.toBe(500);
  const rules2 = `${uploads("team/x")}?mount=${blob}&from=elsewhere/app`;
  expect(await status(rules2, BOB, "POST")).toBe(202);
});

test("tokens are good for what they say, and nothing forged is", async () => {
  const { url } = await serve([
    "--htpasswd",
    htpasswd,
    ...config({ ...RULES, token: { "expiry-seconds": 60 } }),
  ]);
  await pushImage(url, "team/app", "v1", { headers: BOB });
  const target = `${url}/v2/team/app/manifests/v1`;
  const challenge = (await fetch(target)).headers.get("www-authenticate") ?? "";
  const token = await tokenOf(challenge, BOB);
  const use = (text: string, method = "GET") =>
    status(target, { authorization: `Bearer ${text}` }, method);
  expect(await use(token)).toBe(200);
  expect(await use(token, "DELETE")).toBe(401);
  const [head = "", payload = "", signature = ""] = token.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as { access: object[] };
  const all = { ...claims, access: [{ type: "repository", name: "team/app", actions: ["*"] }] };
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  expect(await use(`${head}.${encode(all)}.${signature}`)).toBe(401);
  expect(await use(`${encode({ alg: "none" })}.${encode(all)}.`)).toBe(401);
  expect(await use("x")).toBe(401);
  const form = new URLSearchParams({
    grant_type: "password",
    username: "bob",
    password: "sesame",
    service: "naru-registry",
    scope: "repository:team/app:pull",
  });
  const reply = await fetch(`${url}/token`, { method: "POST", body: form });
  const { access_token: access } = (await reply.json()) as { access_token: string };
  expect(await use(access)).toBe(200);
});

test("tokens of a server elsewhere are taken by its keys", async () => {
  const jose = await import("jose");
  const { publicKey, privateKey } = await jose.generateKeyPair("RS256", { extractable: true });
  const pem = `${directory}/keys.pem`;
  writeFileSync(pem, await jose.exportSPKI(publicKey));
  const token = { realm: "https://auth.example/token", service: "reg", issuer: "auth", keys: pem };
  const { url } = await serve(config({ token }));
  const challenge = (await fetch(`${url}/v2/a/tags/list`)).headers.get("www-authenticate");
  expect(challenge).toBe(
    'Bearer realm="https://auth.example/token",service="reg",scope="repository:a:pull"',
  );
  const sign = (audience: string, seconds: number) =>
    new jose.SignJWT({ access: [{ type: "repository", name: "a", actions: ["pull", "push"] }] })
      .setProtectedHeader({ alg: "RS256" })
      .setIssuer("auth")
      .setSubject("carol")
      .setAudience(audience)
      .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
      .sign(privateKey);
  const headers = { authorization: `Bearer ${await sign("reg", 60)}` };
  await pushImage(url, "a", "v1", { headers });
  expect(await status(`${url}/v2/a/tags/list`, headers)).toBe(200);
  for (const wrong of [await sign("other", 60), await sign("reg", -60)]) {
    expect(await status(`${url}/v2/a/tags/list`, { authorization: `Bearer ${wrong}` })).toBe(401);
  }
});

test("TLS", async () => {
  const [cert, key] = [`${directory}/tls.crt`, `${directory}/tls.key`];
  const request =
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
  await must([...request.split(" "), ...names, "-keyout", key, "-out", cert]);
  const { url } = await serve(["--tls-cert", cert, "--tls-key", key, "--htpasswd", htpasswd]);
  expect(url).toStartWith("https://");
  const reply = await fetch(`${url}/v2/`, {
    headers: ALICE,
    tls: { ca: readFileSync(cert, "utf8") },
  });
  expect(reply.status).toBe(200);
  const failure = await serve(["--tls-cert", cert]).catch(String);
  expect(failure).toContain("belong together");
});

interface Notified {
  readonly events: readonly {
    readonly action: string;
    readonly target: { readonly repository: string; readonly tag?: string };
    readonly actor: { readonly name: string };
  }[];
}

const listener = (): Promise<{ url: string; told: string[]; close: () => void }> =>
  new Promise((done) => {
    const told: string[] = [];
    let calls = 0;
    const server = createServer((request, response) => {
      let body = "";
      request.on("data", (part) => (body += String(part)));
      request.on("end", () => {
        calls += 1;
        // The first delivery fails: it must come again.
        response.statusCode = calls === 1 ? 500 : 204;
        response.end();
        if (calls === 1) return;
        for (const { action, target, actor } of (JSON.parse(body) as Notified).events) {
          told.push(`${action} ${target.repository}:${target.tag ?? ""} ${actor.name}`);
        }
      });
    });
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      done({ url: `http://127.0.0.1:${port}/`, told, close: () => void server.close() });
    });
  });

const auditOf = (served: Served, path: string): string[] => {
  expect(served.log()).not.toContain("audit log");
  return readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, string>)
    .map(({ action, kind, actor, remoteAddress, digest = "" }) =>
      `${action} ${kind} ${actor} ${remoteAddress} ${action === "delete" ? digest : ""}`.trim(),
    );
};

test("webhooks, the audit log and metrics tell what happened", async () => {
  const hook = await listener();
  const audit = `${directory}/audit.log`;
  const served = await serve([
    "--htpasswd",
    htpasswd,
    ...config({ audit: { path: audit }, webhooks: [{ url: hook.url }], "open-metrics": true }),
  ]);
  const digest = await pushImage(served.url, "told/a", "v1", { headers: ALICE });
  await fetch(`${served.url}/v2/told/a/manifests/v1`, { headers: ALICE });
  await fetch(`${served.url}/v2/told/a/manifests/v1`, { headers: ALICE, method: "DELETE" });
  await fetch(`${served.url}/v2/told/a/manifests/${digest}`, { headers: ALICE, method: "DELETE" });
  await fetch(`${served.url}/v2/told/a/manifests/v1`);
  await until("the webhook", () => hook.told.length === 5);
  expect(hook.told).toEqual([
    "push told/a: alice",
    "push told/a: alice",
    "push told/a:v1 alice",
    "delete told/a:v1 alice",
    "delete told/a: alice",
  ]);
  expect(auditOf(served, audit)).toEqual([
    "push blob alice 127.0.0.1",
    "push blob alice 127.0.0.1",
    "push manifest alice 127.0.0.1",
    "delete tag alice 127.0.0.1",
    `delete manifest alice 127.0.0.1 ${digest}`,
    "denied other  127.0.0.1",
  ]);
  const metrics = await (await fetch(`${served.url}/metrics`)).text();
  expect(metrics).toContain(
    'naru_registry_requests_total{method="PUT",route="manifest",code="201"} 1',
  );
  expect(metrics).toContain('naru_registry_events_total{action="pull",kind="manifest"} 1');
  expect(metrics).toContain("naru_registry_blobs 2");
  expect(await (await fetch(`${served.url}/healthz`)).json()).toEqual({ status: "ok" });
  hook.close();
});
