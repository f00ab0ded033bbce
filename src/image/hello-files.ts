/** What is in naru/hello besides busybox: a few files of /etc, a page, and the script that serves it. */

export interface HelloFile {
  readonly path: string;
  readonly mode: number;
  readonly text: string;
}

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Hello from naru</title>
<style>
  :root { color-scheme: light dark; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center;
         font: 1.1rem/1.6 system-ui, sans-serif;
         background: linear-gradient(light-dark(#dff1f7, #0b2530), light-dark(#fdfaf3, #123)); }
  main { max-width: 34rem; padding: 2rem; }
  h1 { font-size: 2.6rem; margin: 0 0 .5rem; }
  pre { padding: .8rem 1rem; border-radius: .6rem; overflow-x: auto;
        background: light-dark(#fff, #0006); }
  svg { width: 100%; height: auto; }
</style>
<main>
  <svg viewBox="0 0 340 90" role="img" aria-label="A boat at its landing">
    <path d="M60 48h150l-18 26H82z" fill="#c8553d"/>
    <path d="M95 30h26v18H95zM126 30h26v18h-26zM110 10h26v18h-26z" fill="#588b8b"/>
    <path d="M0 76q21-12 42 0t42 0 42 0 42 0 42 0 42 0 42 0 46 0v14H0z" fill="#4f9dc0"/>
    <path d="M262 52h78v8h-8v20h-8V60h-40v20h-8V60h-14z" fill="#8a6d4b"/>
  </svg>
  <h1>It has landed.</h1>
  <p>This page comes from a container that naru started on this machine. Its image was put
  together here, without any registry.</p>
  <p>Look inside:</p>
  <pre>naru run -it --rm naru/hello sh</pre>
  <p>Or make a base image from your distribution's packages:</p>
  <pre>naru image bootstrap debian:bookworm</pre>
</main>
</html>
`;

/**
 * The first process of a container ignores signals it has no handler for, and httpd has none: the
 * shell stays and passes the end on, so that \`stop\` is at once.
 */
const SCRIPT = `#!/bin/sh
echo "naru/hello serves its page on port 80 of this container."
echo "Started with -p 8080:80? Then open http://localhost:8080"
httpd -f -v -p 80 -h /www &
server=$!
trap 'kill $server; exit 0' INT TERM
wait $server
`;

export const HELLO_DIRECTORIES: readonly (readonly [path: string, mode: number])[] = [
  ["bin", 0o755],
  ["dev", 0o755],
  ["etc", 0o755],
  ["home", 0o755],
  ["proc", 0o555],
  ["root", 0o700],
  ["sbin", 0o755],
  ["sys", 0o555],
  ["tmp", 0o1777],
  ["usr", 0o755],
  ["usr/bin", 0o755],
  ["usr/sbin", 0o755],
  ["var", 0o755],
  ["www", 0o755],
];

export const HELLO_COMMAND = "/bin/hello";

export const HELLO_FILES: readonly HelloFile[] = [
  { path: "bin/hello", mode: 0o755, text: SCRIPT },
  {
    path: "etc/group",
    mode: 0o644,
    text: "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnogroup:x:65534:\n",
  },
  {
    path: "etc/passwd",
    mode: 0o644,
    text:
      "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n" +
      "www-data:x:33:33:www-data:/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
  },
  { path: "www/index.html", mode: 0o644, text: PAGE },
];
