// A real venue, a real browser, and what the tests do with both.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const BINARY = path.resolve(ROOT, process.env.CROSSBOOK_BINARY ?? "target/debug/crossbook");
/** Pictures, and traces of what failed. */
export const PICTURES = path.join(ROOT, "target/page");
const DEADLINE_MILLIS = 30_000;

/** Polls until `task` gives something that is not false. */
export async function eventually(what, task, millis = DEADLINE_MILLIS) {
  const end = performance.now() + millis;
  for (;;) {
    const found = await task();
    if (found) return found;
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export class Venue {
  token = crypto.randomBytes(32).toString("hex");
  secretKey = crypto.randomBytes(32).toString("hex");
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "crossbook-page-"));

  /** A venue without anything, or a demo; with these operators beside the one who may do everything. */
  static async start(kind = "serve", operators = []) {
    const venue = new Venue();
    venue.operators = operators;
    [venue.http, venue.admin] = [await freePort(), await freePort()];
    venue.kind = kind;
    await venue.run();
    return venue;
  }

  async run() {
    const data = this.kind === "serve" ? ["--data", path.join(this.folder, "venue")] : [];
    const addresses = ["--http", `127.0.0.1:${this.http}`, "--admin", `127.0.0.1:${this.admin}`];
    const env = { ...process.env, ...this.tokens() };
    const output = fs.openSync(path.join(this.folder, "log"), "a");
    this.child = spawn(BINARY, [this.kind, ...data, ...addresses], { env, stdio: ["ignore", output, output] });
    fs.closeSync(output);
    this.ended = new Promise((resolve) => this.child.once("exit", resolve));
    const isOpen = async () => {
      if (this.child.exitCode !== null) throw new Error(fs.readFileSync(path.join(this.folder, "log"), "utf8"));
      return fetch(`${this.url}/api/v3/ping`).then(
        ({ ok }) => ok,
        () => false,
      );
    };
    await eventually("the venue answers", isOpen);
  }

  /** The operators, in the environment or in a file. */
  tokens() {
    if (this.operators.length === 0) return { CROSSBOOK_ADMIN_TOKEN: this.token };
    const file = path.join(this.folder, "tokens");
    const lines = this.operators.map(({ name, role, token }) => `${name} ${role} ${token}`);
    // In one step: it is read while it is written.
    fs.writeFileSync(`${file}.new`, `${[this.token, ...lines].join("\n")}\n`);
    fs.renameSync(`${file}.new`, file);
    return { CROSSBOOK_ADMIN_TOKEN_FILE: file, CROSSBOOK_GATEWAY__SERVER__RELOAD_INTERVAL_MS: "50" };
  }

  get console() {
    return `http://127.0.0.1:${this.admin}/console/`;
  }

  get url() {
    return `http://127.0.0.1:${this.http}`;
  }

  async kill(signal = "SIGKILL") {
    this.child.kill(signal);
    await this.ended;
  }

  async stop() {
    await this.kill();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  /** A command of the operator; its answer in JSON. */
  operate(...words) {
    const env = {
      ...process.env,
      CROSSBOOK_ADMIN_TOKEN: this.token,
      CROSSBOOK_ADMIN_URL: `http://127.0.0.1:${this.admin}`,
    };
    const { status, stdout, stderr } = spawnSync(BINARY, ["admin", "--json", ...words], { env, encoding: "utf8" });
    if (status !== 0) throw new Error(`crossbook admin ${words.join(" ")}: ${stderr}`);
    return JSON.parse(stdout || "null");
  }

  /** BTC, USDT and a market of them. */
  list(symbol = "BTCUSDT", ...more) {
    for (const asset of ["BTC", "USDT"]) this.operate("assets", "add", asset, "--decimals", "8");
    this.operate(
      "markets",
      "add",
      symbol,
      "--base",
      "BTC",
      "--quote",
      "USDT",
      "--tick-size",
      "0.01",
      "--step-size",
      "0.00001",
      "--min-notional",
      "5",
      "--maker-fee",
      "0.001",
      "--taker-fee",
      "0.001",
      "--peg-instructions-allowed",
      "true",
      ...more,
    );
  }

  /** An account with money and an HMAC key. */
  open(label) {
    const { accountId: account } = this.operate("accounts", "open", "--label", label);
    this.operate("deposit", String(account), "USDT", "1000000", "--transfer-id", `${label}-usdt`);
    this.operate("deposit", String(account), "BTC", "10", "--transfer-id", `${label}-btc`);
    const { apiKey, secretKey } = this.operate("keys", "issue", String(account), "--permissions", "READ,TRADE");
    return { account, apiKey, secret: secretKey };
  }

  /** A signed request over REST, as somebody else. */
  async ask(who, method, name, parameters = {}) {
    const query = new URLSearchParams({ ...parameters, timestamp: String(Date.now()) }).toString();
    const signature = crypto.createHmac("sha256", who.secret).update(query).digest("hex");
    const url = `${this.url}/api/v3/${name}?${query}&signature=${signature}`;
    const response = await fetch(url, { method, headers: { "X-MBX-APIKEY": who.apiKey } });
    const body = await response.json();
    if (!response.ok) throw new Error(`${name} ${query}: ${JSON.stringify(body)}`);
    return body;
  }

  /** A limit order, or a market order without a price. */
  order(who, side, quantity, price) {
    const limit = price === undefined ? { type: "MARKET" } : { type: "LIMIT", price, timeInForce: "GTC" };
    return this.ask(who, "POST", "order", { symbol: "BTCUSDT", side, quantity, ...limit });
  }
}

let browser;
export async function launch() {
  const executablePath =
    process.env.CHROMIUM ??
    ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) => fs.existsSync(file));
  browser ??= await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  return browser;
}
export async function quit() {
  const open = browser;
  browser = undefined;
  await open?.close();
}

/** What a connection that was cut says on the console; only where a test cuts it. */
const CUT = /WebSocket connection|ERR_CONNECTION|Failed to load resource|ERR_EMPTY_RESPONSE/;

/**
 * Opens the page, and does `work` on it. What the page says on the console as an error, and what it asks of another
 * host, is a failure. A failure leaves a picture and a trace.
 */
export async function onPage(
  venue,
  name,
  work,
  { size = [1440, 900], theme = "dark", cuts = false, locale = "en-GB", before, address = `${venue.url}/` } = {},
) {
  const { origin } = new URL(address);
  const context = await (
    await launch()
  ).newContext({
    viewport: { width: size[0], height: size[1] },
    colorScheme: theme,
    locale,
    reducedMotion: "reduce",
  });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
  await context.tracing.start({ screenshots: true, snapshots: true });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE_MILLIS);
  const mistakes = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !(cuts && CUT.test(message.text()))) mistakes.push(message.text());
  });
  page.on("pageerror", (error) => mistakes.push(String(error.stack)));
  page.on("request", (request) => {
    if (!request.url().startsWith(origin) && !/^(blob|data):/.test(request.url()))
      mistakes.push(`asked ${request.url()}`);
  });
  try {
    if (before) await before(page);
    await page.goto(address);
    await work(page);
    if (mistakes.length > 0) throw new Error(`on the console: ${mistakes.join("\n")}`);
    await context.tracing.stop();
  } catch (error) {
    fs.mkdirSync(PICTURES, { recursive: true });
    const file = path.join(PICTURES, name.replace(/\W+/g, "-"));
    await page.screenshot({ path: `${file}.failed.png` }).catch(() => {});
    await context.tracing.stop({ path: `${file}.failed.zip` }).catch(() => {});
    error.message += `\n${mistakes.join("\n")}\npicture and trace: ${file}.failed.*`;
    throw error;
  } finally {
    await context.close();
  }
}

const axeSource = fs.readFileSync(new URL("../../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");

/** What a reader with a screen reader or without a mouse would stumble over; only what is serious, if so wished. */
export async function accessible(page, where, { onlySerious = false } = {}) {
  await page.evaluate(`${axeSource}; 0`);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  const counted = violations.filter(({ impact }) => !onlySerious || ["serious", "critical"].includes(impact));
  const told = counted.map(
    ({ id, nodes }) =>
      `${where}: ${id}: ${nodes
        .slice(0, 3)
        .map(({ html }) => html.slice(0, 160))
        .join(" | ")}`,
  );
  assert.deepEqual(told, []);
}

export async function picture(page, name) {
  fs.mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: path.join(PICTURES, `${name}.png`) });
}

/** Waits for a text in the notices. */
export const noticed = (page, text) => page.getByTestId("notices").getByText(text).first().waitFor();

/** Logs in with the secret of an account. */
export async function logIn(page, who) {
  await page.getByRole("banner").getByRole("button", { name: "Log in" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "HMAC secret" }).click();
  await dialog.getByLabel("API key", { exact: true }).fill(who.apiKey);
  await dialog.getByLabel("Secret", { exact: true }).fill(who.secret);
  await dialog.getByRole("button", { name: "Log in", exact: true }).click();
  await page.getByTestId("available").filter({ hasText: "USDT" }).waitFor();
}

export const number = (text) => Number(String(text).replaceAll(",", "").replace("−", "-").split(" ")[0]);
