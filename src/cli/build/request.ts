/** What the engine is told of a build beside its context: the query and the header fields. */
import { parseCache } from "#cli/build/caches.ts";
import type { Given } from "#cli/build/flags.ts";
import {
  type Output,
  buildArguments,
  labels,
  type namedContexts,
  sshSockets,
} from "#cli/build/inputs.ts";
import type { Wide } from "#cli/build/wide.ts";
import type { CliContext } from "#cli/context.ts";
import { parseRam } from "#cli/format/units.ts";
import { NaruError } from "#lib/errors.ts";

const encodeHeader = (value: object): string =>
  Buffer.from(JSON.stringify(value)).toString("base64url");

export const queryOf = (
  { context, flags: given }: Given,
  outputs: readonly Output[],
): Record<string, string | number | boolean | readonly string[]> => {
  const epoch = context.env["SOURCE_DATE_EPOCH"];
  const implied = epoch === undefined || epoch === "" ? [] : [`SOURCE_DATE_EPOCH=${epoch}`];
  const args = buildArguments([...implied, ...given["build-arg"]], context.env);
  const optional = (name: string, value: string | number | undefined): object =>
    value === undefined ? {} : { [name]: value };
  return {
    t: [...given.tag, ...outputs.flatMap(({ names }) => names)],
    buildargs: JSON.stringify(args),
    labels: JSON.stringify(labels(given.label)),
    allow: given.allow,
    extrahosts: given["add-host"],
    nocachefilter: given["no-cache-filter"],
    nocache: given["no-cache"],
    pull: given.pull,
    ...optional("target", given.target),
    ...optional("platform", given.platform?.includes(",") === true ? undefined : given.platform),
    ...(given.ulimit.length === 0 ? {} : { ulimits: JSON.stringify(given.ulimit.map(ulimitOf)) }),
    ...optional("networkmode", given.network),
    ...optional("cgroupparent", given["cgroup-parent"]),
    ...optional("cpushares", given["cpu-shares"]),
    ...optional("memory", given.memory === undefined ? undefined : parseRam(given.memory)),
    ...optional(
      "shmsize",
      given["shm-size"] === undefined ? undefined : parseRam(given["shm-size"]),
    ),
  };
};

const epochOf = ({ context, flags: given }: Given): number | undefined => {
  const args = buildArguments(given["build-arg"], context.env);
  const value = args["SOURCE_DATE_EPOCH"] ?? context.env["SOURCE_DATE_EPOCH"];
  if (value === undefined || value === "") return undefined;
  if (/^\d{1,12}$/.test(value)) return Number(value);
  throw new NaruError(
    "invalid_argument",
    `invalid SOURCE_DATE_EPOCH "${value}": seconds since 1970`,
  );
};

const ulimitOf = (text: string): { Name: string; Soft: number; Hard: number } => {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  if (match === null) {
    throw new NaruError("invalid_argument", `ulimit "${text}" must be name=soft[:hard]`);
  }
  const [, Name = "", soft = "", hard = soft] = match;
  return { Name, Soft: Number(soft), Hard: Number(hard) };
};

interface Wishes {
  readonly wide: Wide | undefined;
  /** The result is to tell warnings, with this text of a .dockerignore. */
  readonly checks: { readonly ignore: string } | undefined;
}

export const headersOf = async (
  given: Given,
  named: ReturnType<typeof namedContexts>,
  { wide, checks }: Wishes,
  secretsBytes: number,
): Promise<Record<string, string>> => {
  const { context, flags: values } = given;
  const epoch = epochOf(given);
  return {
    "Content-Type": "application/x-tar",
    "X-Naru-Build-Extras": encodeHeader({
      images: named.images,
      trees: Object.keys(named.trees),
      ssh: sshSockets(values.ssh, context.env),
      cacheFrom: values["cache-from"].map(parseCache),
      cacheTo: values["cache-to"].map(parseCache),
      ...(epoch === undefined ? {} : { sourceDateEpoch: epoch }),
      ...(wide === undefined ? {} : { wide }),
      ...(checks === undefined ? {} : { checks }),
    }),
    "X-Naru-Build-Secrets-Length": String(secretsBytes),
    ...(await registryHeader(context)),
  };
};

const registryHeader = async (context: CliContext): Promise<Record<string, string>> => {
  const { auths, credHelpers, credsStore } = await context.config();
  const names = [...Object.keys(auths ?? {}), ...Object.keys(credHelpers ?? {})];
  if (names.length === 0 && (credsStore ?? "") === "") return {};
  const { storedCredentials } = await import("#cli/registry/credentials.ts");
  const entries: [string, object][] = [];
  for (const name of new Set(names)) {
    const found = await storedCredentials(context, name);
    if (found !== undefined) entries.push([name, found]);
  }
  return entries.length === 0
    ? {}
    : { "X-Registry-Config": encodeHeader(Object.fromEntries(entries)) };
};
