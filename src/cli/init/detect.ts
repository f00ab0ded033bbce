/** What kind of application a folder holds, and what it needs to run in a container. Pure. */
import { java } from "#cli/init/java.ts";
import { php } from "#cli/init/php.ts";
import type { Folder, Recipe } from "#cli/init/recipe.ts";
import { besideOf } from "#cli/init/recipe.ts";

interface PackageJson {
  readonly engines?: { readonly node?: string };
  readonly scripts?: Readonly<Record<string, string>>;
  readonly main?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const parsePackage = (text: string): PackageJson => {
  try {
    return JSON.parse(text) as PackageJson;
  } catch {
    // A broken package.json is still a Node project: what it would say is asked of its defaults.
    return {};
  }
};

const node = (folder: Folder): Recipe | undefined => {
  const text = folder.read("package.json");
  if (text === undefined) return undefined;
  const given = parsePackage(text);
  const version = /\d+/.exec(given.engines?.node ?? "")?.[0] ?? "22";
  const has = (name: string): boolean => folder.names.includes(name);
  const [lock, install] = has("pnpm-lock.yaml")
    ? ["pnpm-lock.yaml", "corepack enable && pnpm install --frozen-lockfile"]
    : has("yarn.lock")
      ? ["yarn.lock", "corepack enable && yarn install --frozen-lockfile"]
      : has("package-lock.json")
        ? ["package-lock.json", "npm ci"]
        : ["", "npm install"];
  const build = given.scripts?.["build"] === undefined ? "" : "RUN npm run build\n";
  const start =
    given.scripts?.["start"] === undefined
      ? ["node", given.main ?? (has("server.js") ? "server.js" : "index.js")]
      : ["npm", "start"];
  return {
    kind: "Node",
    reason: "package.json",
    port: 3000,
    ignored: ["node_modules", "npm-debug.log", "dist", "coverage", ".env"],
    synced: has("src") ? ["./src", "/app/src"] : ["./", "/app"],
    restarts: true,
    beside: besideOf(Object.keys(given.dependencies ?? {}).join(" ")),
    dockerfile: `FROM node:${version}-slim AS build
WORKDIR /app
COPY package.json ${lock === "" ? "" : `${lock} `}./
RUN --mount=type=cache,target=/root/.npm ${install}
COPY . .
${build}
FROM node:${version}-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app ./
USER node
EXPOSE 3000
CMD ${JSON.stringify(start)}
`,
  };
};

const python = (folder: Folder): Recipe | undefined => {
  const requirements = folder.read("requirements.txt");
  const project = folder.read("pyproject.toml");
  const text = requirements ?? project;
  if (text === undefined) return undefined;
  const lower = text.toLowerCase();
  const entry = ["app.py", "main.py", "server.py", "manage.py"].find((name) =>
    folder.names.includes(name),
  );
  const module = (entry ?? "main.py").replace(/\.py$/, "");
  const command = lower.includes("django")
    ? ["python", "manage.py", "runserver", "0.0.0.0:8000"]
    : lower.includes("fastapi") || lower.includes("uvicorn")
      ? ["uvicorn", `${module}:app`, "--host", "0.0.0.0", "--port", "8000"]
      : lower.includes("gunicorn")
        ? ["gunicorn", "--bind", "0.0.0.0:8000", `${module}:app`]
        : lower.includes("flask")
          ? ["flask", "--app", module, "run", "--host", "0.0.0.0", "--port", "8000"]
          : ["python", entry ?? "main.py"];
  const install =
    requirements === undefined
      ? "COPY . .\nRUN --mount=type=cache,target=/root/.cache/pip pip install .\n"
      : "COPY requirements.txt ./\nRUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt\nCOPY . .\n";
  return {
    kind: "Python",
    reason: requirements === undefined ? "pyproject.toml" : "requirements.txt",
    port: 8000,
    ignored: ["__pycache__", "*.pyc", ".venv", "venv", ".pytest_cache", ".env"],
    synced: ["./", "/app"],
    restarts: true,
    beside: besideOf(lower),
    dockerfile: `FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
${install}RUN useradd --system app
USER app
EXPOSE 8000
CMD ${JSON.stringify(command)}
`,
  };
};

const go = (folder: Folder): Recipe | undefined => {
  const text = folder.read("go.mod");
  if (text === undefined) return undefined;
  const version = /^go (\d+\.\d+)/m.exec(text)?.[1] ?? "1.25";
  const main = folder.names.includes("cmd") ? "./cmd/..." : ".";
  const output = main === "." ? "-o /out/app" : "-o /out/";
  return {
    kind: "Go",
    reason: "go.mod",
    port: 8080,
    ignored: ["bin", "*.test", "*.out"],
    beside: besideOf(text),
    dockerfile: `FROM golang:${version} AS build
WORKDIR /src
COPY go.mod go.sum* ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \\
    CGO_ENABLED=0 go build ${output} ${main}

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/ /
EXPOSE 8080
ENTRYPOINT ["/app"]
`,
  };
};

const page = (folder: Folder): Recipe | undefined => {
  const root = ["index.html", "public/index.html", "dist/index.html"].find(
    (name) => folder.read(name) !== undefined,
  );
  if (root === undefined) return undefined;
  const from = root === "index.html" ? "." : (root.split("/")[0] ?? ".");
  return {
    kind: "static",
    reason: root,
    port: 80,
    ignored: ["node_modules"],
    synced: [`./${from === "." ? "" : from}`, "/usr/share/nginx/html"],
    beside: [],
    dockerfile: `FROM nginx:stable-alpine
COPY ${from} /usr/share/nginx/html
EXPOSE 80
`,
  };
};

/** The first that fits; undefined when nothing is known. */
export const detect = (folder: Folder): Recipe | undefined =>
  node(folder) ?? python(folder) ?? go(folder) ?? java(folder) ?? php(folder) ?? page(folder);
