/** `naru registry --help`. */
export const registryHelp = (): string => `Usage: naru registry serve [OPTIONS]
       naru registry collect [--dry-run] [--untagged] [--url U] [--user N --password-stdin]
       naru registry retention [--dry-run] [--url U] [--user N --password-stdin]

Serve images to docker, podman and every other client of the OCI distribution API.
Stays in the foreground; writes "ready ADDRESS" when it accepts requests; SIGTERM stops it.

collect and retention ask a running registry (http://127.0.0.1:5000) to remove what nobody needs,
and the tags that its rules do not keep; with --dry-run they say what would go, and why.

Options of serve:
  --addr ADDRESS:PORT   Where to listen (127.0.0.1:5000)
  --data-root D         Where images are kept (/var/lib/naru-registry)
  --htpasswd F          Users and bcrypt hashes, as 'htpasswd -B' writes them; read again when it changes
  --tls-cert C          Certificate, with its chain; needs --tls-key
  --tls-key K           Its key
  --config-file F       JSON: these options, access rules, limits, quotas, retention, upstreams …
                        (docs/registry.md lists all keys)
`;
