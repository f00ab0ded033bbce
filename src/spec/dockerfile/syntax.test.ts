import { expect, test } from "bun:test";

import { isBuiltIn, syntaxOf } from "#spec/dockerfile/syntax.ts";

test.each([
  ["# syntax=docker/dockerfile:1\nFROM scratch", "docker/dockerfile:1"],
  ["#syntax = example/front:2 with words \nFROM scratch", "example/front:2 with words"],
  ["# escape=`\n# Syntax=a/b\n", "a/b"],
  ["#!/usr/bin/env docker\n# syntax=a/b\n", "a/b"],
  ["\uFEFF# syntax=a/b\r\nFROM scratch\r\n", "a/b"],
  ["// syntax=a/b\nanything", "a/b"],
  ['{"syntax": "a/b", "more": 1}', "a/b"],
  ["FROM scratch\n# syntax=a/b\n", ""],
  ["# a comment\n# syntax=a/b\n", ""],
  ["{not json", ""],
  ["", ""],
])("%j names %j", (text, named) => {
  expect(syntaxOf(text)).toBe(named);
});

test.each([
  ["docker/dockerfile", true],
  ["docker/dockerfile:1.99-labs", true],
  ["docker.io/docker/dockerfile@sha256:0", true],
  ["docker/dockerfile-upstream:master", true],
  ["docker/dockerfiles", false],
  ["example.com/docker/dockerfile:1", false],
])("%p is built in: %p", (source, isOwn) => {
  expect(isBuiltIn(source)).toBe(isOwn);
});
