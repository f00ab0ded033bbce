import type { CliContext } from "#cli/context.ts";
import { defineCommand, upTo } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { HUB_KEY, keyOf, storeCredentials, storedCredentials } from "#cli/registry/credentials.ts";
import { readLine, readSecret } from "#cli/terminal/question.ts";
import { isInputTerminal, pipedInput } from "#cli/terminal/stdin.ts";
import { NaruError } from "#lib/errors.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";

const SECRET_MAX_BYTES = 64 * 1024;

const passwordFromPipe = async (): Promise<string> => {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of pipedInput()) {
    parts.push(part);
    length += part.length;
    if (length > SECRET_MAX_BYTES) {
      throw new NaruError("invalid_argument", "the password on standard input is too long");
    }
  }
  return Buffer.concat(parts)
    .toString("utf8")
    .replace(/\r?\n$/, "");
};

const ask = async (
  context: CliContext,
  given: { readonly username: string | undefined; readonly password: string | undefined },
): Promise<AuthConfig> => {
  if (given.username !== undefined && given.password !== undefined) {
    return { username: given.username, password: given.password };
  }
  if (!(await isInputTerminal())) {
    throw new NaruError(
      "invalid_argument",
      "Cannot perform an interactive login from a non TTY device",
    );
  }
  const username = given.username ?? (await readLine(context, "Username: "));
  if (username === "") throw new NaruError("invalid_argument", "username is empty");
  const password = given.password ?? (await readSecret(context, "Password: "));
  if (password === "") throw new NaruError("invalid_argument", "password is empty");
  return { username, password };
};

const logIn = async (
  context: CliContext,
  key: string,
  credentials: AuthConfig,
): Promise<string> => {
  const client = await context.client();
  const body = { ...credentials, serveraddress: key };
  const answer = await client.call("login", { body });
  const token = answer.IdentityToken ?? "";
  // A token replaces the password: that is not kept then.
  const { username = "" } = credentials;
  const kept = token === "" ? credentials : { username, identitytoken: token };
  const helper = await storeCredentials(context, key, kept);
  if (helper === undefined) {
    context.output.error(
      `WARNING! Your credentials are stored unencrypted in '${context.configFolder}/config.json'.\n` +
        "Configure a credential helper (credsStore) to remove this warning.",
    );
  }
  return answer.Status === "" ? "Login Succeeded" : answer.Status;
};

export const command = defineCommand({
  usage: "[OPTIONS] [SERVER]",
  description: "Log in to a registry. Docker Hub when no server is named.",
  flags: {
    password: text("Password", "p"),
    "password-stdin": bool("Take the password from standard input"),
    username: text("Username", "u"),
  },
  args: upTo(1),
  examples: ["echo $TOKEN | naru login -u me --password-stdin ghcr.io"],
  run: async ({ context, flags, args }) => {
    const key = args[0] === undefined ? HUB_KEY : keyOf(args[0]);
    const { username } = flags;
    if (flags["password-stdin"]) {
      if (flags.password !== undefined) {
        throw new NaruError(
          "invalid_argument",
          "--password and --password-stdin are mutually exclusive",
        );
      }
      if (username === undefined) {
        throw new NaruError("invalid_argument", "Must provide --username with --password-stdin");
      }
    }
    if (flags.password !== undefined) {
      context.output.error(
        "WARNING! Using --password via the CLI is insecure. Use --password-stdin.",
      );
    }
    const password = flags["password-stdin"] ? await passwordFromPipe() : flags.password;
    if (username === undefined && password === undefined) {
      const stored = await storedCredentials(context, key);
      if (stored !== undefined) {
        context.output.error("Authenticating with existing credentials...");
        context.output.line(await logIn(context, key, stored));
        return 0;
      }
    }
    context.output.line(await logIn(context, key, await ask(context, { username, password })));
    return 0;
  },
});
