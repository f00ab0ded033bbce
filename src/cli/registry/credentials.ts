/**
 * The user's credentials for registries: `auths` of config.json, or a credential helper (programs called
 * docker-credential-NAME, which speak JSON). `credHelpers` names one for a registry, `credsStore` one for all.
 */
import type { CliContext, ConfigFile } from "#cli/context.ts";
import { registryOf } from "#cli/image/names.ts";
import type { HelperVerb } from "#cli/registry/helper.ts";
import { NaruError, hasCode, toNaruError } from "#lib/errors.ts";
import { type AuthConfig, decodeAuthConfig } from "#spec/docker/registry-auth.ts";

export const HUB_KEY = "https://index.docker.io/v1/";
/** What helpers say in place of a name when the secret is an identity token. */
const TOKEN_USER = "<token>";

// Loaded when they are needed: `run` comes through here, and has no time for files.
const askHelper = async (
  { env }: CliContext,
  helper: string,
  verb: HelperVerb,
  input: string,
): Promise<string> => (await import("#cli/registry/helper.ts")).askHelper(env, helper, verb, input);
const editConfig = async (
  context: CliContext,
  change: (config: ConfigFile) => ConfigFile,
): Promise<void> => (await import("#cli/registry/config-file.ts")).editConfig(context, change);

/** As `login` and config.json name a registry: its host, but for the Hub. */
export const keyOf = (registry: string): string => {
  const host = registry.replace(/^https?:\/\//, "").split("/")[0] ?? "";
  return ["", "docker.io", "index.docker.io", "registry-1.docker.io"].includes(host)
    ? HUB_KEY
    : host;
};

const helperFor = async (context: CliContext, key: string): Promise<string | undefined> => {
  const { credHelpers, credsStore } = await context.config();
  const name = credHelpers?.[key] ?? credsStore;
  return name === "" ? undefined : name;
};

const parseAnswer = (helper: string, text: string): { Username?: string; Secret?: string } => {
  try {
    return JSON.parse(text) as { Username?: string; Secret?: string };
  } catch (cause) {
    const reason = `"docker-credential-${helper} get" answered with something else than JSON`;
    throw new NaruError("unauthenticated", reason, { cause });
  }
};

const fromHelper = async (
  context: CliContext,
  helper: string,
  key: string,
): Promise<AuthConfig | undefined> => {
  const text = await askHelper(context, helper, "get", key).catch((error: unknown) => {
    if (hasCode(error, "not_found")) return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const { Username = "", Secret = "" } = parseAnswer(helper, text);
  if (Username === "" && Secret === "") return undefined;
  return Username === TOKEN_USER
    ? { identitytoken: Secret }
    : { username: Username, password: Secret };
};

/** What is stored for the registry; undefined when there is nothing. */
export const storedCredentials = async (
  context: CliContext,
  key: string,
): Promise<AuthConfig | undefined> => {
  const helper = await helperFor(context, key);
  if (helper !== undefined) return await fromHelper(context, helper, key);
  const { auths = {} } = await context.config();
  // Old files have URLs where hosts are meant.
  const stored = auths[key] ?? auths[`https://${key}`] ?? auths[`https://${key}/v1/`];
  const credentials = decodeAuthConfig(stored);
  const { username = "", identitytoken = "" } = credentials;
  return username === "" && identitytoken === "" ? undefined : credentials;
};

/** Where they went: the name of the helper, or undefined for the file, unencrypted. */
export const storeCredentials = async (
  context: CliContext,
  key: string,
  credentials: AuthConfig,
): Promise<string | undefined> => {
  const helper = await helperFor(context, key);
  const { username = "", password = "", identitytoken = "" } = credentials;
  if (helper === undefined) {
    const auth = Buffer.from(`${username}:${identitytoken === "" ? password : ""}`).toString(
      "base64",
    );
    const entry = identitytoken === "" ? { auth } : { auth, identitytoken };
    await editConfig(context, (config) => ({
      ...config,
      auths: { ...config.auths, [key]: entry },
    }));
    return undefined;
  }
  const isToken = identitytoken !== "";
  const Username = isToken ? TOKEN_USER : username;
  const Secret = isToken ? identitytoken : password;
  await askHelper(context, helper, "store", JSON.stringify({ ServerURL: key, Username, Secret }));
  // An empty entry says that there is something at the helper: other tools list these.
  await editConfig(context, (config) => ({ ...config, auths: { ...config.auths, [key]: {} } }));
  return helper;
};

/** False when there was nothing. */
export const eraseCredentials = async (context: CliContext, key: string): Promise<boolean> => {
  // Also an entry that cannot be read goes.
  const auths = (await context.wholeConfig()).auths ?? {};
  const hadAny = key in auths || (await storedCredentials(context, key)) !== undefined;
  const helper = await helperFor(context, key);
  if (helper !== undefined) await askHelper(context, helper, "erase", key);
  if (!(key in auths)) return hadAny;
  await editConfig(context, (config) => {
    const { [key]: _gone, ...rest } = config.auths ?? {};
    return { ...config, auths: rest };
  });
  return hadAny;
};

const warned = new Set<string>();

/** As docker: a helper that is gone or locked does not keep anybody from what is public; it is told once a command. */
const usableCredentials = async (
  context: CliContext,
  key: string,
): Promise<AuthConfig | undefined> => {
  try {
    return await storedCredentials(context, key);
  } catch (thrown) {
    const { code, message } = toNaruError(thrown);
    if (code !== "failed_precondition" && code !== "unauthenticated") throw thrown;
    if (!warned.has(message)) {
      context.output.error(`WARNING: going on without credentials for ${key}: ${message}`);
    }
    warned.add(message);
    return undefined;
  }
};

/** X-Registry-Auth for the registry of an image, or nothing when the user has not logged in there. */
export const registryAuthHeader = async (
  context: CliContext,
  image: string,
): Promise<Record<string, string>> => {
  const key = keyOf(registryOf(image));
  const credentials = await usableCredentials(context, key);
  if (credentials === undefined) return {};
  const json = JSON.stringify({ ...credentials, serveraddress: key });
  return { "X-Registry-Auth": Buffer.from(json).toString("base64url") };
};
