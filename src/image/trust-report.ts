/** `naru trust`: the policy as people read it, and what it says of one image. */
import { checkName, proveImage } from "#image/admit.ts";
import { admitUse } from "#image/admit.ts";
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { explainRefusal, resolveContent } from "#image/pull-manifest.ts";
import { toNaruError } from "#lib/errors.ts";
import type { Remote } from "#remote/remote.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import {
  familiarString,
  parseReference,
  repositoryOf,
  withDefaultTag,
} from "#spec/image/reference.ts";
import type { Trust, TrustAction, TrustKey, TrustRule } from "#trust/trust.ts";

export interface RuleReport {
  readonly prefix: string;
  readonly action: TrustAction;
  readonly reason: string;
  readonly keys: readonly Omit<TrustKey, "pem">[];
}

export interface TrustReport {
  readonly path: string;
  /** False: there is no such file, and every image is allowed. */
  readonly isPresent: boolean;
  readonly rules: readonly RuleReport[];
}

/** Of one place: the engine's store, or the registry. */
export interface Finding {
  readonly isAllowed: boolean;
  /** Why, in one sentence. */
  readonly text: string;
  readonly digest: Digest | undefined;
}

export interface TrustCheck {
  readonly name: string;
  readonly path: string;
  readonly rule: RuleReport;
  /** undefined: no such image here. */
  readonly here: Finding | undefined;
  readonly atRegistry: Finding;
}

const reportRule = (trust: Trust, prefix: string, rule: TrustRule): RuleReport => ({
  prefix,
  action: rule.action,
  reason: rule.reason ?? "",
  keys: trust.keys(rule).map(({ path, kind, fingerprint }) => ({ path, kind, fingerprint })),
});

export const reportTrust = (trust: Trust): TrustReport => {
  const policy = trust.policy();
  return {
    path: trust.path,
    isPresent: policy !== undefined,
    rules: Object.entries(policy?.rules ?? {}).map(([prefix, rule]) =>
      reportRule(trust, prefix, rule),
    ),
  };
};

interface CheckParts {
  readonly dependencies: Pick<ImageDependencies, "trust">;
  readonly remote: Remote;
  readonly catalog: Catalog;
}

/** Refusals are findings; what else fails is an error to the caller only where nothing can be said. */
const findingOf = async (
  work: () => Promise<{ readonly text: string; readonly digest?: Digest }>,
): Promise<Finding> => {
  try {
    const { text, digest } = await work();
    return { isAllowed: true, text, digest };
  } catch (error) {
    return { isAllowed: false, text: toNaruError(error).message, digest: undefined };
  }
};

/** See `Images.checkTrust`. */
export const checkTrust = async (
  { dependencies: { trust }, remote, catalog }: CheckParts,
  name: string,
  credentials: AuthConfig,
  signal: AbortSignal,
): Promise<TrustCheck> => {
  const reference = withDefaultTag(parseReference(name));
  const verdict = trust.verdict(repositoryOf(reference));
  const record = catalog.find(name);
  const atRegistry = await findingOf(async () => {
    checkName(trust, reference);
    if (verdict.rule.action === "allow") return { text: "may be pulled: the rule allows it" };
    try {
      const repository = remote.repository(reference, credentials);
      const wanted = reference.digest ?? reference.tag ?? "";
      const { digest, images } = await resolveContent(repository, wanted, {}, signal);
      const [image] = images;
      if (image === undefined) return { text: "there is no image", digest };
      const manifestText = (): Promise<string> => Promise.resolve(image.fetched.text);
      const candidate = { imageId: digestOf(image.configText), digest, manifestText };
      const proven = await proveImage(trust, repository, verdict, candidate, signal);
      const key = proven?.verified.key;
      return { text: `may be pulled: signed by ${key?.path} (${key?.fingerprint})`, digest };
    } catch (error) {
      throw explainRefusal(error, reference);
    }
  });
  return {
    name: familiarString(reference),
    path: trust.path,
    rule: reportRule(trust, verdict.prefix ?? "*", verdict.rule),
    here:
      record === undefined
        ? undefined
        : await findingOf(async () => {
            await admitUse(trust, name, record);
            return { text: "may be run", digest: record.id };
          }),
    atRegistry,
  };
};
