/** The user's credentials for a registry: `auths` of config.json or a credential helper. */
import type { CliContext } from "#cli/context.ts";
import { registryOf } from "#cli/image/names.ts";
import { NaruError } from "#lib/errors.ts";

interface HelperAnswer {
  readonly Username?: string;
  readonly Secret?: string;
}

const HUB_KEY = "https://index.docker.io/v1/";

const keyFor = (registry: string): string => (registry === "docker.io" ? HUB_KEY : registry);

const askHelper = async (helper: string, key: string): Promise<HelperAnswer | undefined> => {
  const child = Bun.spawn([`docker-credential-${helper}`, "get"], {
    stdin: new Blob([key]),
    stdout: "pipe",
    stderr: "ignore",
  });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) {
    // The helper has nothing for this registry, which its protocol tells in words.
    if (/not found/i.test(text)) return undefined;
    throw new NaruError("unauthenticated", `docker-credential-${helper} failed: ${text.trim()}`);
  }
  return JSON.parse(text) as HelperAnswer;
};

const decodeAuth = (auth: string): { username: string; password: string } => {
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
};

/** X-Registry-Auth, or nothing when the user has not logged in there. */
export const registryAuthHeader = async (
  context: CliContext,
  image: string,
): Promise<Record<string, string>> => {
  const config = await context.config();
  const key = keyFor(registryOf(image));
  const stored = config.auths?.[key] ?? config.auths?.[`https://${key}`];
  const helper =
    config.credHelpers?.[key] ?? (stored === undefined ? undefined : config.credsStore);
  let credentials: object | undefined;
  if (helper !== undefined) {
    const answer = await askHelper(helper, key);
    if (answer?.Username === "<token>") credentials = { identitytoken: answer.Secret };
    else if (answer !== undefined) {
      credentials = { username: answer.Username, password: answer.Secret };
    }
  } else if (stored?.auth) credentials = decodeAuth(stored.auth);
  if (credentials === undefined) return {};
  const json = JSON.stringify({ ...credentials, serveraddress: key });
  return { "X-Registry-Auth": Buffer.from(json).toString("base64url") };
};
