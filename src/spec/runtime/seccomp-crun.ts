/**
 * How crun takes a finished filter: the annotation `run.oci.seccomp_bpf_data`, base64 with padding
 * (crun(1); since 0.18). It is written as it is to `<root>/<id>/seccomp.bpf`, from where `crun exec`
 * takes it too, and loaded with the flags of `linux.seccomp.flags`, SPEC_ALLOW when absent.
 */
import { hasCode } from "#lib/errors.ts";
import { compileSeccomp } from "#spec/runtime/seccomp-compile.ts";
import { type OciSeccomp, toOciSeccomp } from "#spec/runtime/seccomp-oci.ts";
import type { SeccompProfile, SeccompTarget } from "#spec/runtime/seccomp-profile.ts";

export const CRUN_SECCOMP_ANNOTATION = "run.oci.seccomp_bpf_data";

/** What goes into config.json: `annotations` at its top, `seccomp` as `linux.seccomp`. */
export interface RuntimeSeccomp {
  readonly annotations: Readonly<Record<string, string>>;
  readonly seccomp: OciSeccomp;
}

/**
 * A profile for crun: a compiled program, or the whole `linux.seccomp` where none can be made (a
 * listener, too many conditions). Beside a program stands a guard, a filter that refuses every
 * call: crun puts the annotation before it, and a runtime that ignores the annotation (it is called
 * experimental) cannot start the container, rather than start it without a filter.
 */
export const seccompForCrun = (profile: SeccompProfile, target: SeccompTarget): RuntimeSeccomp => {
  try {
    const program = Buffer.from(compileSeccomp(profile, target)).toString("base64");
    return {
      annotations: { [CRUN_SECCOMP_ANNOTATION]: program },
      seccomp: {
        defaultAction: "SCMP_ACT_ERRNO",
        ...(profile.flags === undefined ? {} : { flags: profile.flags }),
      },
    };
  } catch (error) {
    if (!hasCode(error, "not_implemented") && !hasCode(error, "resource_exhausted")) throw error;
    return { annotations: {}, seccomp: toOciSeccomp(profile, target) };
  }
};
