/** naru's own version, as the CLI shows it. */
export const NARU_VERSION = "0.1.0";
