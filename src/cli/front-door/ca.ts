import { defineCommand, NONE } from "#cli/framework/command.ts";
import { NaruError } from "#lib/errors.ts";

const HINT = `
To trust it on this machine (Debian, Ubuntu):
  naru front-door ca > /usr/local/share/ca-certificates/naru-front-door.crt && update-ca-certificates
Firefox and Chrome keep their own list:
  certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n naru -i FILE    (package libnss3-tools)
Node.js: NODE_EXTRA_CA_CERTS=FILE    curl: --cacert FILE
It can speak for names of localhost, test, internal, local and home.arpa alone.`;

export const command = defineCommand({
  usage: "",
  flags: {},
  args: NONE,
  description: "Print the front door's certificate authority (PEM), and how to trust it.",
  run: async ({ context }) => {
    const client = await context.client();
    const { Authority } = await client.call("frontDoor", {});
    if (Authority === "") {
      throw new NaruError(
        "failed_precondition",
        "the front door speaks no HTTPS: start the daemon with --front-door-https 443",
      );
    }
    context.output.print(Authority);
    // In a pipe the certificate alone is wanted, and standard error is for people.
    context.output.error(HINT);
    return 0;
  },
});
