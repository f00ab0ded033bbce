/** What this build is; set by the build script, "dev" when run from source. */
declare const NARU_BUILD_VERSION: string | undefined;
declare const NARU_BUILD_REVISION: string | undefined;

export const VERSION = typeof NARU_BUILD_VERSION === "string" ? NARU_BUILD_VERSION : "0.0.0-dev";
export const REVISION = typeof NARU_BUILD_REVISION === "string" ? NARU_BUILD_REVISION : "dev";
