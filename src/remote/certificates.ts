/** TLS material of hosts: `<directory>/<host[:port]>/*.crt`, `*.cert` with `*.key`, as dockerd's certs.d. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { NaruError } from "#lib/errors.ts";

export interface HostCertificates {
  /** PEM: authorities to trust besides the usual ones. */
  readonly authorities: readonly string[];
  /** PEM. */
  readonly client: { readonly cert: string; readonly key: string } | undefined;
}

/** Where distributions keep the authorities that the machine's owner trusts. */
const SYSTEM_BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

const readFolder = (folder: string): HostCertificates => {
  const names = readdirSync(folder).toSorted();
  const authorities: string[] = [];
  let client: HostCertificates["client"];
  for (const name of names) {
    const path = join(folder, name);
    if (name.endsWith(".crt")) authorities.push(readFileSync(path, "utf8"));
    if (name.endsWith(".key") && !names.includes(name.replace(/\.key$/, ".cert"))) {
      throw new NaruError(
        "failed_precondition",
        `missing client certificate "${name.replace(/\.key$/, ".cert")}" for key "${path}"`,
      );
    }
    if (!name.endsWith(".cert")) continue;
    const key = name.replace(/\.cert$/, ".key");
    if (!names.includes(key)) {
      throw new NaruError(
        "failed_precondition",
        `missing key "${key}" for client certificate "${path}": CA certificates must use the extension .crt`,
      );
    }
    client ??= { cert: readFileSync(path, "utf8"), key: readFileSync(join(folder, key), "utf8") };
  }
  return { authorities, client };
};

/** Read anew at each call, so that a renewed certificate counts at once. The first directory's client wins. */
export const certificatesOf = (host: string, directories: readonly string[]): HostCertificates => {
  const found = directories
    .map((directory) => join(directory, host))
    .filter((folder) => /^[^/]+$/.test(host) && host !== ".." && existsSync(folder))
    .map(readFolder);
  return {
    authorities: found.flatMap((one) => one.authorities),
    client: found.find((one) => one.client !== undefined)?.client,
  };
};

/** The machine's own bundle; the runtime carries one too, but not what an owner added. */
export const systemAuthorities = (): string[] => {
  const path = SYSTEM_BUNDLES.find((candidate) => existsSync(candidate));
  return path === undefined ? [] : [readFileSync(path, "utf8")];
};
