/**
 * The OCI distribution API over a registry. HTTP only: decode, ask who may, call, encode, map errors.
 * `createDistributionServer` gives the server whose `onConnection` takes accepted sockets.
 */
import type { DistributionBackend } from "#api/distribution/backend.ts";
import { checkAccess } from "#api/distribution/check-access.ts";
import { Call, JSON_FIELDS } from "#api/distribution/call.ts";
import { type Route, type Target, findTarget } from "#api/distribution/routes.ts";
import type { Exchange, ExchangeHandler } from "#api/http/exchange.ts";
import { createHttpServer, type HttpServer } from "#api/http/server.ts";
import { monotonicMs } from "#lib/clock.ts";
import { type NaruError, hasCode, toNaruError } from "#lib/errors.ts";
import type { Identity, Wanted } from "#registry/access/access.ts";
import {
  distributionCodeOf,
  distributionError,
  errorBody,
  statusOf,
} from "#spec/distribution/errors.ts";
import { parseRepositoryName } from "#spec/distribution/name.ts";

/** Fields of every answer. */
const SERVER_FIELDS =
  "Docker-Distribution-Api-Version: registry/2.0\r\nX-Content-Type-Options: nosniff\r\n";

/** Strangers may connect here: a connection that asks nothing makes room for others. */
const IDLE_SECONDS = 60;

/** Fields that the error's occasion asks for. */
const fieldsOf = (error: NaruError): string => {
  const { retryAfterSeconds, challenge, fields } = error.details;
  return (
    (typeof retryAfterSeconds === "number" ? `Retry-After: ${retryAfterSeconds}\r\n` : "") +
    (typeof challenge === "string" ? `WWW-Authenticate: ${challenge}\r\n` : "") +
    (typeof fields === "string" ? fields : "")
  );
};

const answerError = (backend: DistributionBackend, exchange: Exchange, thrown: unknown): void => {
  const error = toNaruError(thrown);
  const { method, path } = exchange.head;
  if (error.code === "internal" || error.code === "data_loss") {
    backend.logger.error("a request failed", { method, path, error, cause: error.cause });
  }
  // Half an answer is out: the connection's own error path cuts it, so that the client notices.
  if (exchange.isAnswered) throw error;
  const status = statusOf(error);
  const message =
    error.code === "internal" ? "the registry failed; its log says why" : error.message;
  const body = errorBody(distributionCodeOf(error), message, error.details["detail"]);
  exchange.answer(status, `${JSON_FIELDS}${fieldsOf(error)}`, body);
};

const wantedOf = (target: Target, route: Route): Wanted => ({
  action: route.action,
  repository: target.repository,
});

/** GET /v2/ says whether this is a registry, and whether the credentials are good (end-1). */
const answerBase = (backend: DistributionBackend, exchange: Exchange, identity: Identity): void => {
  const { access } = backend;
  const challenge = access.challenge;
  const isNobody = identity.name === "" && identity.granted === undefined;
  const isEnough =
    !access.mustIdentify && access.mayDo(identity, { action: "pull", repository: "" });
  if (challenge !== undefined && isNobody && !isEnough) {
    throw distributionError("UNAUTHORIZED", "log in first", {
      details: { challenge: challenge([], exchange.head.fields.get("host") ?? "") },
    });
  }
  exchange.answer(200, JSON_FIELDS, "{}");
};

const notAllowed = (target: Target) =>
  distributionError("UNSUPPORTED", "this path does not know that method", {
    details: { fields: `Allow: ${Object.keys(target.methods).join(", ")}\r\n` },
  });

const wrongCredentials = (backend: DistributionBackend, exchange: Exchange, thrown: unknown) => {
  const { challenge } = backend.access;
  if (!hasCode(thrown, "unauthenticated") || challenge === undefined) return thrown;
  const { message, details } = toNaruError(thrown);
  if (details["challenge"] !== undefined) return thrown;
  const { path, fields } = exchange.head;
  const target = findTarget(path);
  const route = target?.methods[exchange.head.method];
  const wanted = target === undefined || route === undefined ? [] : [wantedOf(target, route)];
  return distributionError("UNAUTHORIZED", message, {
    cause: thrown,
    details: { challenge: challenge(wanted, fields.get("host") ?? "") },
  });
};

/** A proxy's client says with `ns` whose repository it means (the spec's addition after 1.1.1). */
const inNamespace = (backend: DistributionBackend, exchange: Exchange, target: Target): Target => {
  const { queryText } = exchange.head;
  const namespace = queryText.includes("ns=") ? new URLSearchParams(queryText).get("ns") : null;
  if (namespace === null || target.repository === "") return target;
  const repository = backend.registry.repositoryFor(namespace, target.repository);
  return repository === undefined ? target : { ...target, repository };
};

/** Returns what the handler returned. */
const dispatch = (
  backend: DistributionBackend,
  exchange: Exchange,
  identity: Identity,
): void | Promise<void> => {
  const { method, path } = exchange.head;
  if (path === "/v2/" || path === "/v2") return answerBase(backend, exchange, identity);
  const named = findTarget(path);
  if (named === undefined) {
    throw distributionError("UNSUPPORTED", "page not found", { status: 404 });
  }
  const target = inNamespace(backend, exchange, named);
  const route = target.methods[method];
  if (route === undefined) throw notAllowed(target);
  // Before rules are asked: a pattern must never see what is not a name.
  if (target.repository !== "") parseRepositoryName(target.repository);
  checkAccess(backend, exchange, identity, wantedOf(target, route));
  return route.handler(new Call(backend, exchange, identity, target));
};

const identify = (
  backend: DistributionBackend,
  exchange: Exchange,
): Identity | Promise<Identity> => {
  const { fields } = exchange.head;
  return backend.access.identify(fields.get("authorization"), fields.get("host") ?? "");
};

const routeNameOf = (exchange: Exchange): string => {
  const { path, method } = exchange.head;
  return findTarget(path)?.methods[method]?.name ?? "other";
};

export const createDistributionHandler = (backend: DistributionBackend): ExchangeHandler => {
  const { observer, extras } = backend;
  return async (exchange) => {
    const began = monotonicMs();
    try {
      const extra = extras.get(exchange.head.path);
      if (extra === undefined) {
        const identity = identify(backend, exchange);
        const known = identity instanceof Promise ? await identity : identity;
        const result = dispatch(backend, exchange, known);
        if (result !== undefined) await result;
      } else {
        await extra(exchange);
      }
    } catch (error) {
      answerError(backend, exchange, wrongCredentials(backend, exchange, error));
    } finally {
      const { method } = exchange.head;
      const status = exchange.status ?? 0;
      observer.request(method, routeNameOf(exchange), status, monotonicMs() - began);
    }
  };
};

export const createDistributionServer = (backend: DistributionBackend): HttpServer =>
  createHttpServer({
    handler: createDistributionHandler(backend),
    fields: SERVER_FIELDS,
    idleSeconds: IDLE_SECONDS,
    logger: backend.logger,
    refusal: (message) => ({ fields: JSON_FIELDS, body: errorBody("UNSUPPORTED", message) }),
  });
