/** Java by Maven or Gradle: one jar that holds everything, or a jar with its libraries beside it. Pure. */
import type { Folder, Recipe } from "#cli/init/recipe.ts";
import { besideOf } from "#cli/init/recipe.ts";

/** Plugins that put the libraries into the jar and name its main class. */
const WHOLE_JAR =
  /spring-boot-maven-plugin|maven-shade-plugin|maven-assembly-plugin|org\.springframework\.boot|\.shadow\b|io\.ktor\.plugin/;

const MAIN_CLASS =
  /<(?:mainClass|exec\.mainClass|main\.class|start-class)>\s*([\w.$]+)\s*<|mainClass(?:\.set\(|\s*=\s*)\s*["']([\w.$]+)/;

/** The jar among those that a build leaves: not sources, not what a plugin kept of the first one. */
const jarIn = (folder: string): string =>
  `"$(ls ${folder}/*.jar | grep -Ev '/original-|-(sources|javadoc|tests|plain)[.]jar$' | head -n 1)"`;

const runFrom = (version: string, copies: string, command: readonly string[]): string =>
  `FROM eclipse-temurin:${version}-jre
${copies}USER nobody
EXPOSE 8080
CMD ${JSON.stringify(command)}
`;

const CACHE = "--mount=type=cache,target=/root/.m2";

const maven = (text: string, version: string, mainClass: string | undefined): string => {
  // The modules' files name each other: all of them are needed before anything can be resolved.
  const first = text.includes("<modules>")
    ? "COPY . .\n"
    : `COPY pom.xml ./\nRUN ${CACHE} mvn -q -B dependency:go-offline\nCOPY src ./src\n`;
  const build = `FROM maven:3-eclipse-temurin-${version} AS build\nWORKDIR /src\n${first}`;
  if (mainClass === undefined) {
    return `${build}RUN ${CACHE} mvn -q -B package -DskipTests && cp ${jarIn("target")} /app.jar

${runFrom(version, "COPY --from=build /app.jar /app.jar\n", ["java", "-jar", "/app.jar"])}`;
  }
  return `${build}RUN ${CACHE} mvn -q -B package dependency:copy-dependencies -DskipTests \\
    -DincludeScope=runtime -DoutputDirectory=/app/lib \\
 && mkdir -p /app/lib && cp ${jarIn("target")} /app/lib/

${runFrom(version, "COPY --from=build /app /app\n", ["java", "-cp", "/app/lib/*", mainClass])}`;
};

const gradle = (folder: Folder, version: string, mainClass: string | undefined): string => {
  const hasWrapper = folder.names.includes("gradlew");
  const [image, command, cache] = hasWrapper
    ? [`eclipse-temurin:${version}-jdk`, "./gradlew", "/root/.gradle"]
    : [`gradle:jdk${version}`, "gradle", "/home/gradle/.gradle"];
  const build = `FROM ${image} AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=${cache} ${command} --no-daemon`;
  if (mainClass === undefined) {
    return `${build} assemble && cp ${jarIn("build/libs")} /app.jar

${runFrom(version, "COPY --from=build /app.jar /app.jar\n", ["java", "-jar", "/app.jar"])}`;
  }
  return `${build} installDist && mkdir /app && cp -r build/install/*/lib /app/

${runFrom(version, "COPY --from=build /app /app\n", ["java", "-cp", "/app/lib/*", mainClass])}`;
};

export const java = (folder: Folder): Recipe | undefined => {
  const pom = folder.read("pom.xml");
  const script = folder.read("build.gradle") ?? folder.read("build.gradle.kts");
  const text = pom ?? script;
  if (text === undefined) return undefined;
  const version =
    /<(?:java\.version|maven\.compiler\.release|maven\.compiler\.source)>(\d+)</.exec(text)?.[1] ??
    /JavaVersion\.VERSION_(\d+)|languageVersion[^\d]*(\d+)|JavaLanguageVersion\.of\((\d+)/
      .exec(text)
      ?.slice(1)
      .find(Boolean) ??
    "21";
  const named = MAIN_CLASS.exec(text)?.slice(1).find(Boolean);
  const mainClass = WHOLE_JAR.test(text) ? undefined : named;
  return {
    kind: "Java",
    reason: pom === undefined ? "build.gradle" : "pom.xml",
    port: 8080,
    ignored: ["target", "build", ".gradle", "*.class"],
    beside: besideOf(text),
    dockerfile:
      pom === undefined ? gradle(folder, version, mainClass) : maven(text, version, mainClass),
  };
};
