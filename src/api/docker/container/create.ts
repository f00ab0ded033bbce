/** POST /containers/create. */
import type { Call } from "#api/docker/call.ts";
import { adjustCreateRequest } from "#api/docker/container/create-compat.ts";
import { decodeCreateRequest } from "#api/docker/container/create-decode.ts";
import { post, type Route } from "#api/docker/route.ts";
import { hasCode, NaruError, toNaruError } from "#lib/errors.ts";

const NAME = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** undefined for "". Throws invalid_argument in Docker's words. */
export const checkName = (name: string): string | undefined => {
  if (name === "") return undefined;
  if (!NAME.test(name)) {
    throw new NaruError(
      "invalid_argument",
      `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  return name.startsWith("/") ? name.slice(1) : name;
};

/**
 * On this path clients read 404 as "pull the image and try again": whatever else is missing (a
 * container of --volumes-from, a network) is a wrong request.
 */
const asCreateError = (thrown: unknown): unknown => {
  if (!hasCode(thrown, "not_found")) return thrown;
  const error = toNaruError(thrown);
  // Clients answer these, and no others, by pulling.
  if (/no such image|does not provide the specified platform/i.test(error.message)) return error;
  return new NaruError("invalid_argument", error.message, {
    cause: error,
    details: error.details,
  });
};

const create = async (call: Call): Promise<void> => {
  const body = await call.readJson();
  if (body === undefined || Object.keys(body).length === 0) {
    throw new NaruError(
      "invalid_argument",
      "config cannot be empty in order to create a container",
    );
  }
  const request = decodeCreateRequest(body);
  const warnings = adjustCreateRequest(request, call.minor);
  const name = checkName(call.query.text("name"));
  const platform = call.minor < 41 ? "" : call.query.text("platform");
  const created = await call.backend.containers
    .create(name, request, platform === "" ? undefined : platform)
    .catch((error: unknown) => {
      throw asCreateError(error);
    });
  call.json(201, { Id: created.Id, Warnings: [...created.Warnings, ...warnings] });
};

export const createRoutes: readonly Route[] = [post("/containers/create", create)];
