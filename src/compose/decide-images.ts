/** Which images are pulled or built before containers are thought of. Pure. */
import type { Observed, Operation } from "#compose/compose.ts";
import type { UpOptions } from "#compose/decide.ts";
import { imageOf } from "#compose/names.ts";
import type { Model, Service } from "#spec/compose/compose.ts";
import { parseDuration } from "#spec/compose/units.ts";
import { NaruError } from "#lib/errors.ts";

const maxAgeSeconds = (policy: string): number | undefined => {
  if (policy === "daily") return 86_400;
  if (policy === "weekly") return 604_800;
  const every = policy.startsWith("every_") ? parseDuration(policy.slice(6)) : undefined;
  return every === undefined ? undefined : every / 1e9;
};

const pullReason = (
  policy: string,
  image: string,
  isThere: boolean,
  options: UpOptions,
): string | undefined => {
  if (policy === "always" || policy === "refresh") return `its policy is "${policy}"`;
  const maxAge = maxAgeSeconds(policy);
  const age = options.imageAges?.get(image);
  if (isThere && maxAge !== undefined && age !== undefined && age > maxAge) {
    return `it is older than its policy "${policy}" allows`;
  }
  return isThere ? undefined : "the engine has no such image";
};

const decideImage = (
  name: string,
  service: Service,
  model: Model,
  observed: Observed,
  options: UpOptions,
): Operation | undefined => {
  const image = imageOf(model, name);
  const isThere = observed.images.get(image) !== undefined;
  const policy = options.pull ?? service.pull_policy ?? "";
  const id = `image:${image}`;
  const common = { id, image, service: name };
  if (service.build !== undefined) {
    const isForced = options.build === "always" || policy === "build";
    if (isForced || (!isThere && options.build !== "never")) {
      const contexts = Object.values(service.build.additional_contexts ?? {})
        .filter((context) => context.startsWith("service:"))
        .map((context) => `image:${imageOf(model, context.slice("service:".length))}`);
      const reason = isForced ? "it shall be built" : "it has not been built yet";
      return { ...common, kind: "build", needs: contexts, reason };
    }
    if (isThere) return undefined;
    throw new NaruError(
      "not_found",
      `the image "${image}" of the service "${name}" is not there and shall not be built`,
    );
  }
  const reason = pullReason(policy, image, isThere, options);
  if (reason === undefined) return undefined;
  if (policy === "never") {
    throw new NaruError(
      "not_found",
      `the image "${image}" of the service "${name}" is not there, and its policy "never" forbids to pull it`,
    );
  }
  return { ...common, kind: "pull", needs: [], reason };
};

/** Each image once. Throws `not_found` for one that is missing and may not be brought. */
export const decideImages = (model: Model, observed: Observed, options: UpOptions): Operation[] => {
  const operations = new Map<string, Operation>();
  for (const name of options.targets) {
    const service = model.services[name];
    if (service === undefined || service.provider !== undefined) continue;
    const operation = decideImage(name, service, model, observed, options);
    const known = operation === undefined ? undefined : operations.get(operation.id);
    // A build makes what others only name.
    if (operation !== undefined && known?.kind !== "build") operations.set(operation.id, operation);
  }
  const ids = new Set(operations.keys());
  return [...operations.values()].map((operation) => ({
    ...operation,
    needs: operation.needs.filter((id) => ids.has(id)),
  }));
};
