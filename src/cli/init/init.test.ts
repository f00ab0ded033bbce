import { expect, test } from "bun:test";
import { parse } from "yaml";
import { detect } from "#cli/init/detect.ts";
import { composeFile, dockerignore } from "#cli/init/files.ts";
import { loadProject } from "#spec/compose/load.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import { loadYamlLibrary } from "#spec/compose/yaml.ts";

await loadYamlLibrary();

const folder = (files: Readonly<Record<string, string>>) => ({
  names: [...new Set(Object.keys(files).map((name) => name.split("/")[0] ?? name))],
  read: (name: string) => files[name],
});

const CASES: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
  [
    "Node",
    { "package.json": '{"scripts":{"start":"x","build":"y"}}', "yarn.lock": "" },
    "yarn install",
  ],
  ["Node", { "package.json": "broken", "server.js": "" }, '["node","server.js"]'],
  ["Python", { "requirements.txt": "fastapi\n", "app.py": "" }, '"app:app"'],
  ["Python", { "pyproject.toml": "[project]" }, "pip install ."],
  ["Go", { "go.mod": "module x\n\ngo 1.24\n" }, "golang:1.24"],
  ["Java", { "pom.xml": "<java.version>17</java.version>" }, "temurin-17"],
  ["Java", { "build.gradle": "" }, "gradle:jdk21"],
  ["PHP", { "composer.json": "{}", "public/index.php": "" }, "/var/www/html/public"],
  ["static", { "public/index.html": "" }, "COPY public "],
];

for (const [kind, files, part] of CASES) {
  test(`${kind}: ${Object.keys(files).join(", ")}`, () => {
    const recipe = detect(folder(files))!;
    expect(recipe.kind).toBe(kind);
    expect(recipe.dockerfile).toContain(part);
    expect(() => parseDockerfile(recipe.dockerfile)).not.toThrow();
    expect(dockerignore(recipe)).toContain(".git\n");
    const text = composeFile(recipe);
    const { model } = loadProject({
      source: { read: () => text },
      files: ["/p/compose.yaml"],
      workingDirectory: "/p",
      fallbackName: "p",
      environment: {},
      profiles: [],
    });
    expect(model.services["app"]?.ports?.[0]?.target).toBe(recipe.port);
  });
}

test("Java: a jar of its own, or its libraries beside it when a class is named and no plugin packs them", () => {
  const of = (name: string, text: string) => detect(folder({ [name]: text }))!.dockerfile;
  const main = "<properties><exec.mainClass>a.B</exec.mainClass></properties>";
  expect(of("pom.xml", main)).toContain('CMD ["java","-cp","/app/lib/*","a.B"]');
  expect(of("pom.xml", main)).toContain("dependency:copy-dependencies");
  expect(of("pom.xml", `${main}<artifactId>spring-boot-maven-plugin</artifactId>`)).toContain(
    'CMD ["java","-jar","/app.jar"]',
  );
  expect(of("build.gradle.kts", 'application { mainClass.set("a.BKt") }')).toContain("installDist");
  expect(of("pom.xml", "<modules><module>a</module></modules>")).not.toContain("go-offline");
});

test("PHP: composer's stage where there is a composer.json, extensions by what it asks for", () => {
  const plain = detect(folder({ "index.php": "" }))!.dockerfile;
  expect(plain).not.toContain("composer");
  const composer = '{"require":{"ext-pdo_pgsql":"*","predis/predis":"2"}}';
  const recipe = detect(folder({ "composer.json": composer, "public/index.php": "" }))!;
  expect(recipe.dockerfile).toContain("FROM composer:2 AS vendor");
  expect(recipe.dockerfile).toContain("libpq-dev");
  expect(recipe.dockerfile).toContain("docker-php-ext-install pdo_pgsql");
  expect(recipe.beside).toEqual(["postgres", "redis"]);
});

test("what it depends on comes beside it, healthy first", () => {
  const recipe = detect(folder({ "package.json": '{"dependencies":{"pg":"8","ioredis":"5"}}' }))!;
  const file = parse(composeFile(recipe)) as { services: Record<string, { depends_on?: object }> };
  expect(Object.keys(file.services)).toEqual(["app", "postgres", "redis"]);
  expect(file.services["app"]?.depends_on).toEqual({
    postgres: { condition: "service_healthy" },
    redis: { condition: "service_healthy" },
  });
});

test("an unknown folder is none", () => {
  expect(detect(folder({ "notes.md": "" }))).toBeUndefined();
});

test("watch: programs start anew after a copy, compiled ones are built again, pages are copied", () => {
  const actions = (files: Readonly<Record<string, string>>): string => {
    const file = parse(composeFile(detect(folder(files))!)) as {
      services: { app: { develop: { watch: { action: string; path: string }[] } } };
    };
    return file.services.app.develop.watch.map((rule) => `${rule.action} ${rule.path}`).join(", ");
  };
  expect(actions({ "package.json": "{}" })).toBe(
    "sync+restart ./, rebuild package.json, rebuild Dockerfile",
  );
  expect(actions({ "go.mod": "module x\n\ngo 1.24\n" })).toBe("rebuild ./, rebuild Dockerfile");
  expect(actions({ "index.html": "" })).toBe("sync ./, rebuild Dockerfile");
});
