// What the service is told through its environment (docs/application.md), checked once at start.
import { readFileSync } from "node:fs";

export class SettingsError extends Error {}

function text(environment, name, fallback) {
  const value = environment[name] || fallback;
  if (value === undefined) throw new SettingsError(`the environment variable ${name} is missing`);
  return value;
}

function number(environment, name, low, high, fallback) {
  const value = Number(text(environment, name, fallback));
  if (!Number.isFinite(value) || value < low || value > high) {
    throw new SettingsError(`the environment variable ${name} is not a number from ${low} to ${high}`);
  }
  return value;
}

function identifier(environment, name, fallback) {
  const value = text(environment, name, fallback);
  if (!/^[a-z][a-z0-9_]{0,47}$/.test(value)) {
    throw new SettingsError(`the environment variable ${name} is ${JSON.stringify(value)}, no lower-case CQL name`);
  }
  return value;
}

function readFile(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new SettingsError(`the file ${path} cannot be read: ${error.code}`);
  }
}

function databaseSettings(environment) {
  const passwordFile = environment.DATABASE_PASSWORD_FILE;
  const authorityFile = environment.DATABASE_TLS_CA;
  return Object.freeze({
    hosts: text(environment, "DATABASE_HOSTS").split(",").map((host) => host.trim()).filter(Boolean),
    port: number(environment, "DATABASE_PORT", 1, 65535, "9042"),
    datacenter: text(environment, "DATABASE_DATACENTER", "dc1"),
    keyspace: identifier(environment, "DATABASE_KEYSPACE", "evenkeel"),
    // A release that changes the table's shape gives each version a table of its own.
    table: identifier(environment, "DATABASE_TABLE_ITEM", "item"),
    user: environment.DATABASE_USER || null,
    timeoutMs: number(environment, "DATABASE_TIMEOUT_MS", 50, 60_000, "2500"),
    concurrency: number(environment, "DATABASE_CONCURRENCY", 1, 1000, "16"),
    // Read at every attempt to connect, so that a rotated password needs no restart.
    password: () => (passwordFile ? readFile(passwordFile).trimEnd() : ""),
    authority: () => (authorityFile ? readFile(authorityFile) : null),
  });
}

export function readSettings(environment) {
  return Object.freeze({
    port: number(environment, "PORT", 0, 65535),
    site: text(environment, "SITE", "local"),
    slot: text(environment, "SLOT", "none"),
    version: text(environment, "VERSION"),
    accessLog: ["1", "on", "true"].includes(environment.ACCESS_LOG),
    // The load balancers see the readiness go first, then the listener closes, then requests in flight may finish.
    drainMs: 1000 * number(environment, "DRAIN_SECONDS", 0, 600, "2"),
    finishMs: 1000 * number(environment, "FINISH_SECONDS", 0, 600, "10"),
    requestMs: 1000 * number(environment, "REQUEST_SECONDS", 0.1, 600, "9"),
    // Longer than a load balancer keeps an idle connection: the side that opened it must be the one that closes it.
    keepAliveMs: 1000 * number(environment, "KEEP_ALIVE_SECONDS", 1, 3600, "65"),
    database: databaseSettings(environment),
  });
}
