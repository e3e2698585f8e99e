// The operator's console, in a real browser, on the admin address of a real venue.

import assert from "node:assert/strict";
import crypto from "node:crypto";
import fs from "node:fs";
import { after, before, describe, test } from "node:test";

import { Venue, accessible, eventually, onPage, picture, quit } from "../../../terminal/tests/browser/harness.mjs";

const ROLES = ["viewer", "support", "desk", "admin"];
const OPERATORS = ROLES.map((role) => ({ name: `${role}-ann`, role, token: crypto.randomBytes(16).toString("hex") }));
const tokenOf = (role) => OPERATORS.find((operator) => operator.role === role).token;

/** The browser itself reports each refusal of the venue as an error. */
const REFUSED = { cuts: true };

/** The actions of each page, and the least role that may do them. */
const ACTIONS = {
  markets: [
    ["List an asset", "admin"],
    ["List a market", "admin"],
    ["Halt all markets", "desk"],
    ["Resume all markets", "desk"],
    ["Halt", "desk"],
  ],
  "markets/BTCUSDT": [
    ["Halt", "desk"],
    ["Delist", "admin"],
    ["Open auction", "desk"],
    ["End phase", "desk"],
    ["Set breaker", "desk"],
    ["Set rule", "desk"],
    ["Mean of trades", "desk"],
    ["Sent price", "desk"],
    ["Change fees", "desk"],
    ["Change filters", "desk"],
  ],
  accounts: [["Open an account", "support"]],
  "accounts/ALICE": [
    ["Deposit", "admin"],
    ["Withdraw", "admin"],
    ["Adjust", "admin"],
    ["Freeze", "support"],
    ["Cancel all orders", "support"],
    ["Set fees", "desk"],
    ["Set group", "desk"],
    ["Change", "support"],
    ["Issue a key", "admin"],
    ["Revoke", "support"],
  ],
  venue: [
    ["Pay out", "admin"],
    ["Change", "desk"],
    ["Set tiers", "desk"],
  ],
  "accounts/ALICE/ledger": [],
  revenue: [],
  lines: [],
};
/** Buttons that change nothing. */
const HARMLESS = ["Back", "Next", "CANCEL_ONLY", "BREAK", "Older entries", "Save as CSV"];
const PAGES = [
  "overview",
  "markets",
  "markets/BTCUSDT",
  "accounts",
  "accounts/ALICE",
  "accounts/ALICE/ledger",
  "venue",
  "revenue",
  "audit",
  "log",
  "lines",
];

describe("the console", () => {
  let venue, alice, bob;
  before(async () => {
    venue = await Venue.start("serve", OPERATORS);
    venue.list();
    [alice, bob] = [venue.open("alice"), venue.open("bob")];
    await venue.order(alice, "SELL", "0.5", "20000");
    await venue.order(bob, "BUY", "0.2", "20000");
    await venue.order(alice, "BUY", "0.1", "19000");
  });
  after(async () => {
    await quit();
    await venue.stop();
  });

  const enter = async (page, role) => {
    await page.getByLabel("Token").fill(tokenOf(role));
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByTestId("operator").getByText(`${role}-ann`).waitFor();
  };
  const headingOf = (name) => {
    const [kind, of, part] = name.replace("ALICE", alice.account).split("/");
    const title = { log: "Operator log", lines: "Log lines" }[kind] ?? `${kind[0].toUpperCase()}${kind.slice(1)}`;
    return [title, of, part === undefined ? undefined : "Ledger entries"].filter(Boolean).join(" / ");
  };
  const go = async (page, name) => {
    await page.evaluate((hash) => (location.hash = hash), `#/${name.replace("ALICE", alice.account)}`);
    // The page before is there until the new one is.
    await page.getByRole("heading", { level: 1, name: headingOf(name), exact: true }).waitFor();
    const loading = page.locator("[role=status]", { hasText: "Loading" });
    await eventually(`${name} is loaded`, async () => (await loading.count()) === 0);
  };
  const inConsole = (name, work, more = {}) =>
    onPage(venue, `console-${name}`, work, { address: venue.console, ...more });
  const dialog = (page) => page.getByRole("dialog");
  let asked = 0;
  /** Now and then an order, so that there is something to see. */
  const trade = async () => {
    asked += 1;
    if (asked % 10 === 1) await venue.order(bob, "BUY", "0.001", "20000");
  };
  /** Opens an action, fills its fields in, and does it. */
  const act = async (page, button, values = {}, confirm = undefined) => {
    await page.getByRole("button", { name: button, exact: true }).first().click();
    for (const [label, value] of Object.entries(values)) {
      const field = dialog(page).getByLabel(label).first();
      if ((await field.evaluate(({ tagName }) => tagName)) === "SELECT") await field.selectOption(value);
      else await field.fill(value);
    }
    await dialog(page).locator("button[type=submit]").click();
    await (confirm ? confirm(dialog(page)) : dialog(page).waitFor({ state: "detached" }));
  };
  const admin = (method, path, token = venue.token) =>
    fetch(`http://127.0.0.1:${venue.admin}/admin/v1/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
    }).then((response) => response.json());

  test("a token lets in, and is kept nowhere", () =>
    inConsole(
      "enter",
      async (page) => {
        await accessible(page, "log in");
        await page.getByLabel("Token").fill("no token of anybody");
        await page.getByRole("button", { name: "Log in" }).click();
        await page.getByText("The venue does not know this token.").waitFor();
        await enter(page, "viewer");
        const kept = await page.evaluate(() => [
          localStorage.length,
          sessionStorage.length,
          document.cookie,
          location.href,
        ]);
        assert.deepEqual(kept.slice(0, 3), [0, 0, ""]);
        assert.ok(!kept[3].includes(tokenOf("viewer")));
        await page.reload();
        await page.getByLabel("Token").waitFor();
      },
      // The browser reports the wrong token itself.
      { cuts: true },
    ));

  test("its files come with a strict policy, and need no token", async () => {
    for (const name of ["", "app.js", "app.css", "icon.svg", "licences.txt"]) {
      const { status, headers } = await fetch(`${venue.console}${name}`);
      assert.equal(status, 200, name);
      const policy = headers.get("content-security-policy");
      assert.ok(policy.startsWith("default-src 'none'") && policy.includes("frame-ancestors 'none'"), policy);
      assert.ok(!policy.includes("unsafe"), policy);
      assert.equal(headers.get("x-content-type-options"), "nosniff");
    }
    assert.equal((await fetch(`${venue.console}other`)).status, 401);
    const moved = await fetch(venue.console.slice(0, -1), { redirect: "manual" });
    assert.equal(moved.headers.get("location"), "/console/");
  });

  test("each role may do what its role allows, and sees what it may not", async () => {
    for (const role of ROLES) {
      await inConsole(`role-${role}`, async (page) => {
        await enter(page, role);
        for (const [name, actions] of Object.entries(ACTIONS)) {
          await go(page, name);
          for (const [button, least] of actions) {
            const found = page.getByRole("button", { name: button, exact: true }).first();
            await found.waitFor();
            const may = ROLES.indexOf(role) >= ROLES.indexOf(least);
            assert.equal(await found.isEnabled(), may, `${role}: ${button} of ${name}`);
            if (!may) assert.equal(await found.getAttribute("title"), `Takes the role ${least}`);
          }
          const known = new Set(actions.map(([button]) => button));
          const shown = await page.locator("main .act:not([type=submit])").allTextContents();
          const others = shown.filter(
            (text) => !known.has(text) && !HARMLESS.includes(text),
          );
          assert.deepEqual(others, [], `${name} has actions that this test does not know`);
        }
      });
    }
  });

  test("fills are those of the account", () =>
    inConsole("fills", async (page) => {
      await enter(page, "viewer");
      await go(page, "accounts/ALICE");
      const fill = page.getByTestId("fills").locator("tbody tr").last();
      await fill.waitFor();
      assert.match(await fill.innerText(), /SELL\s+20000\s+0\.2\s+4 USDT\s+maker/);
    }));

  test("a key tells when it was last used, and from where", () =>
    inConsole("keys", async (page) => {
      await enter(page, "viewer");
      const holder = venue.open("holder");
      await go(page, "accounts");
      await page.evaluate((hash) => (location.hash = hash), `#/accounts/${holder.account}`);
      const row = page.getByTestId("keys").locator("tbody tr");
      await row.getByText("not known").waitFor();
      await venue.ask(holder, "GET", "account");
      await row.getByText(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, from 127\.0\.0\.1$/).waitFor();
    }));

  test("ledger entries tell what changed a balance, and are saved", () =>
    inConsole("ledger", async (page) => {
      await enter(page, "viewer");
      await go(page, "accounts/ALICE");
      await page.getByRole("link", { name: "Ledger entries" }).click();
      const rows = page.getByTestId("ledger").locator("tbody tr");
      await rows.first().waitFor();
      const told = await rows.allInnerTexts();
      assert.ok(told.some((text) => /-0\.2\s+BTC\s+trade\s+BTCUSDT 1\s/.test(text)), told.join("\n"));
      assert.ok(told.some((text) => /-4\s+USDT\s+fee\s+BTCUSDT 1\s/.test(text)), told.join("\n"));
      assert.match(told.at(-1), /1000000\s+USDT\s+transfer\s+alice-usdt\s/);
      const saved = page.waitForEvent("download");
      await page.getByRole("button", { name: "Save as CSV" }).click();
      const text = fs.readFileSync(await (await saved).path(), "utf8");
      assert.equal(text.split("\r\n")[0], "time,asset,amount,kind,symbol,tradeId,transferId,partition,sequence");
      assert.equal(text.split("\r\n").length, told.length + 2);
    }));

  test("revenue is shown by day, and saved", () =>
    inConsole("revenue", async (page) => {
      await enter(page, "viewer");
      await go(page, "revenue");
      const table = page.getByTestId("revenue");
      await table.locator("tbody tr").nth(1).waitFor();
      const [head, total, newest] = await table.locator("tr").allInnerTexts();
      assert.match(head, /BTC\s+USDT/);
      const { balances } = await admin("GET", "venue/balances");
      const plain = (text) => text.replace(/\.?0+$/, "");
      const of = (asset) => plain(balances.find((balance) => balance.asset === asset).fees);
      assert.deepEqual(total.split(/\s+/), ["Total", of("BTC"), of("USDT")]);
      assert.equal(newest.split(/\s+/)[0], new Date().toISOString().slice(0, 10));
      const charts = page.locator('[role="img"]');
      assert.equal(await charts.count(), 2);
      assert.equal(await charts.first().getAttribute("aria-label"), `Collected in BTC: ${of("BTC")} BTC`);
      assert.equal(await page.locator(".plot canvas").count(), 2);
      const saved = page.waitForEvent("download");
      await page.getByRole("button", { name: "Save as CSV" }).click();
      const lines = fs.readFileSync(await (await saved).path(), "utf8").split("\r\n");
      assert.equal(lines[0], "day,asset,collected");
      assert.ok(lines[1].includes(",BTC,"), lines[1]);
      await page.getByLabel("Last day").fill("2020-01-31");
      await page.getByLabel("First day").fill("2020-01-01");
      await page.getByRole("button", { name: "Show" }).click();
      await page.getByText("No fees were collected on these days.").waitFor();
    }));

  test("log lines are followed by admins, and by nobody else", () =>
    inConsole("lines", async (page) => {
      await enter(page, "desk");
      await go(page, "lines");
      await page.getByText("Log lines take the role admin.").waitFor();
      await page.getByRole("button", { name: "Log out" }).click();
      await enter(page, "admin");
      await go(page, "lines");
      await page.getByTestId("lines").getByText("the venue is open").waitFor();
      // What is said meanwhile: a file of operators that cannot be used.
      const { operators } = venue;
      venue.operators = [{ name: "short", role: "admin", token: "x" }, ...operators];
      venue.tokens();
      await page.getByTestId("lines").getByText("WARN").first().waitFor();
      venue.operators = operators;
      venue.tokens();
      await page.getByLabel("Least level").selectOption("error");
      await page.getByText("No line.").waitFor();
      await page.getByLabel("Least level").selectOption("info");
      await page.getByLabel("Search the log").fill("the venue is open");
      await eventually(
        "one line is found",
        async () => (await page.getByTestId("lines").locator("tbody tr").count()) === 1,
      );
    }));

  test("it speaks Korean, and remembers what was chosen", () =>
    inConsole(
      "korean",
      async (page) => {
        await page.getByLabel("토큰").fill(tokenOf("admin"));
        await page.getByRole("button", { name: "로그인" }).click();
        await page.getByTestId("operator").getByText("admin-ann").waitFor();
        assert.equal(await page.locator("html").getAttribute("lang"), "ko");
        const pages = await page.getByRole("navigation").getByRole("link").all();
        assert.equal(pages.length, 8);
        for (const link of pages) {
          const name = (await link.innerText()).trim();
          assert.match(name, /^[가-힣 ]+$/);
          await link.click();
          await page.getByRole("heading", { level: 1, name, exact: true }).waitFor();
          await accessible(page, name);
          const [full, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
          assert.ok(full <= seen, `${name} is ${full} wide at ${seen}`);
        }
        await page.getByRole("link", { name: "마켓" }).click();
        await page.getByTestId("markets").getByRole("link", { name: "BTCUSDT" }).click();
        await picture(page, "console-korean");
        await page.getByLabel("언어").selectOption("en");
        await page.getByRole("heading", { level: 1, name: "Markets / BTCUSDT" }).waitFor();
        await page.reload();
        await page.getByRole("button", { name: "Log in" }).waitFor();
      },
      { locale: "ko-KR", size: [390, 844] },
    ));

  test("figures are live", () =>
    inConsole("overview", async (page) => {
      await enter(page, "viewer");
      const figures = page.getByTestId("figures");
      await figures.getByText("each second").first().waitFor();
      const accepted = async () => {
        await trade();
        const [value] = await figures.locator("dd").allTextContents();
        return Number.parseFloat(value) > 0;
      };
      await eventually("orders are seen", accepted);
      await eventually("the time of an order is seen", async () =>
        /[µm]s/.test((await figures.locator("dd").allTextContents())[2]),
      );
      const charts = page.locator('[role="img"]');
      assert.equal(await charts.count(), 10);
      const told = await charts.first().getAttribute("aria-label");
      assert.match(told, /^Orders and trades each second: accepted /);
      assert.equal(await page.locator(".plot canvas").count(), 10);
      await assert.rejects(venue.order(bob, "BUY", "0.00000001", "20000"));
      await page.getByLabel("Refusals by code").getByRole("cell", { name: "-1013" }).waitFor();
    }));

  test("markets are listed, halted, changed and delisted", () =>
    inConsole(
      "markets",
      async (page) => {
        await enter(page, "admin");
        await go(page, "markets");
        await act(page, "List an asset", { Name: "ETH", Decimals: "8" });
        await page.getByLabel("Assets").getByRole("cell", { name: "ETH" }).waitFor();
        await act(page, "List a market", {
          Symbol: "ETHBTC",
          "Base asset": "ETH",
          "Quote asset": "BTC",
          "Step of prices": "0.00001",
          "Step of quantities": "0.001",
          "Fee of takers": "0.002",
          "Smallest worth of an order": "0.0001",
        });
        await page.getByTestId("markets").getByRole("link", { name: "ETHBTC" }).click();
        await page.getByTestId("status").getByText("TRADING").waitFor();
        await act(page, "Halt", { Reason: "a drill" });
        await page.getByTestId("status").getByText("HALT").waitFor();
        await act(page, "Resume");
        await page.getByTestId("status").getByText("TRADING").waitFor();
        await act(page, "Change fees", { Makers: "0.0005" });
        await page.getByText("0.05 %").waitFor();
        await act(page, "Set breaker", { Move: "300" });
        await page.getByTestId("breaker").getByText("3 % within 60 s").waitFor();
        await act(page, "Remove breaker");
        await page.getByTestId("breaker").getByText("none").waitFor();
        await act(page, "Open auction", { Seconds: "600" });
        await page.getByTestId("phase").getByText("COLLECTING").waitFor();
        await act(page, "End phase");
        await page.getByTestId("phase").getByText("OPEN").waitFor();
        await act(page, "Set rule", { "Highest price of a buy": "1.05", "Lowest price of a sale": "0.95" });
        const range = page.getByTestId("range");
        await range.getByText("1.05 × reference price").waitFor();
        assert.equal(await range.getByText("any", { exact: true }).count(), 2);
        await act(page, "Mean of trades", { Buckets: "60", "Width of a bucket": "500" });
        await page.getByTestId("reference").getByText("60 × 500 ms").waitFor();
        await act(page, "Sent price", { "Number of your calculation": "7" });
        await page.getByTestId("reference").getByText("sent, number 7").waitFor();
        await act(page, "Set price", { Price: "0.05" });
        await page.getByTestId("reference").getByText(/^0.05, since /).waitFor();
        await act(page, "Withdraw price");
        await page.getByTestId("reference").getByText(/^none/).waitFor();
        await act(page, "Remove reference");
        await page.getByRole("button", { name: "Remove reference" }).waitFor({ state: "detached" });
        await act(page, "Remove rule");
        await range.getByText("any", { exact: true }).waitFor();
        await act(page, "Change filters", { "Open orders of an account": "7" });
        const { markets } = await admin("GET", "markets");
        const filters = markets.find(({ symbol }) => symbol === "ETHBTC").filters;
        assert.equal(filters.find(({ filterType }) => filterType === "MAX_NUM_ORDERS").maxNumOrders, 7);
        // What the venue refuses is told, and the window stays.
        await act(page, "Change fees", { Makers: "2" }, async (open) => {
          await open.getByRole("alert").getByText("from 0 to below 1").waitFor();
          await open.getByRole("button", { name: "Cancel" }).click();
        });
        await page.getByRole("button", { name: "Delist", exact: true }).click();
        const sure = dialog(page).locator("button[type=submit]");
        assert.equal(await sure.isEnabled(), false, "only once the symbol is typed");
        await dialog(page).getByLabel("Reason").fill("a trial market");
        await dialog(page).getByLabel("Type ETHBTC to confirm").fill("ETHBTC");
        // What the venue refuses leaves the operator on the market's page, which still shows it.
        await page.route("**/admin/v1/markets/ETHBTC", (route) =>
          route.request().method() === "DELETE"
            ? route.continue({ headers: { ...route.request().headers(), authorization: `Bearer ${tokenOf("desk")}` } })
            : route.continue(),
        );
        await sure.click();
        await dialog(page).getByRole("alert").getByText("role admin").waitFor();
        assert.match(page.url(), /#\/markets\/ETHBTC$/);
        await page.unroute("**/admin/v1/markets/ETHBTC");
        await sure.click();
        await page.getByRole("heading", { name: "Markets", level: 1, exact: true }).waitFor();
        await page.getByTestId("markets").getByRole("link", { name: "ETHBTC" }).waitFor({ state: "detached" });
      },
      REFUSED,
    ));

  test("the venue is halted only after the word is typed", () =>
    inConsole("halt", async (page) => {
      await enter(page, "desk");
      await go(page, "markets");
      await page.getByRole("button", { name: "Halt all markets" }).click();
      const sure = dialog(page).locator("button[type=submit]");
      await dialog(page).getByLabel("Reason").fill("a drill of the whole venue");
      await dialog(page).getByLabel("Type HALT to confirm").fill("halt");
      assert.equal(await sure.isEnabled(), false);
      await picture(page, "console-halt");
      await dialog(page).getByLabel("Type HALT to confirm").fill("HALT");
      await sure.click();
      await dialog(page).waitFor({ state: "detached" });
      await page.getByTestId("markets").getByText("HALT", { exact: true }).waitFor();
      await assert.rejects(venue.order(bob, "BUY", "0.001", "20000"), /-1013|-2010/);
      await act(page, "Resume all markets", { "Type RESUME to confirm": "RESUME" });
      await page.getByTestId("markets").getByText("TRADING", { exact: true }).waitFor();
    }));

  test("accounts are found, paid, corrected and freed of their orders", () =>
    inConsole(
      "account",
      async (page) => {
        await enter(page, "admin");
        await go(page, "accounts");
        await act(page, "Open an account", { Label: "Carol of Support" });
        await page.getByText("Carol of Support").waitFor();
        const carol = page.url().split("/").at(-1);
        await go(page, "accounts");
        await page.getByLabel("Search accounts by label or number").fill("carol");
        await page.getByRole("button", { name: "Search" }).click();
        await eventually(
          "one account is found",
          async () => (await page.getByTestId("accounts").locator("tbody tr").count()) === 1,
        );
        await page.getByTestId("accounts").getByRole("link", { name: carol }).click();
        await act(page, "Deposit", { Asset: "USDT", Amount: "100", Id: "c-1" });
        const balance = page.getByTestId("balances").locator("tr", { hasText: "USDT" });
        await balance.getByText("100", { exact: true }).waitFor();
        await act(page, "Withdraw", { Asset: "USDT", Amount: "25.5", Id: "c-2" });
        await balance.getByText("74.5", { exact: true }).waitFor();
        await act(page, "Adjust", { Asset: "USDT", Amount: "-4.5", Id: "c-3", Reason: "counted twice" });
        await balance.getByText("70", { exact: true }).waitFor();
        await act(page, "Withdraw", { Asset: "USDT", Amount: "1000", Id: "c-4" }, async (open) => {
          await open.getByRole("alert").getByText("insufficient free balance").waitFor();
          await open.getByRole("button", { name: "Cancel" }).click();
        });
        await act(page, "Set fees", { "Standard, instead": "0.0005, 0.0007" });
        await page.getByTestId("fees").getByText("0.05 % / 0.07 %").waitFor();
        await act(page, "Set group", { Number: "7" });
        await page.getByTestId("fees").getByRole("row", { name: "Trade group" }).getByText("7").waitFor();
        let secret, key;
        await act(page, "Issue a key", {}, async (open) => {
          const told = open.locator("code");
          await told.nth(1).waitFor();
          [key, secret] = await told.allTextContents();
          await open.getByRole("button", { name: "Done" }).click();
        });
        const who = { apiKey: key, secret };
        assert.equal(
          (await venue.ask(who, "GET", "account")).balances.find(({ asset }) => asset === "USDT").free,
          "70.00000000",
        );
        await venue.order(who, "BUY", "0.001", "15000");
        const open = page.getByTestId("orders-open").locator("tbody tr");
        await open.first().waitFor();
        await act(page, "Cancel all orders", { Reason: "the client called" });
        await open.first().waitFor({ state: "detached" });
        await page.getByTestId("orders-past").getByText("CANCELED").waitFor();
        await venue.order(who, "BUY", "0.001", "15000");
        await open.first().waitFor();
        const frozen = page.getByText("This account is frozen:");
        await act(page, "Freeze", { Reason: "asked by the client" });
        await frozen.waitFor();
        await open.first().waitFor({ state: "detached" });
        await assert.rejects(venue.order(who, "BUY", "0.001", "15000"), /-2010/);
        await act(page, "Withdraw", { Asset: "USDT", Amount: "1", Id: "c-5" }, async (open) => {
          await open.getByRole("alert").getByText("the account is frozen; unfreeze it first").waitFor();
          await open.getByRole("button", { name: "Cancel" }).click();
        });
        await go(page, "accounts");
        await page.getByTestId("accounts").locator("tr", { hasText: "Carol" }).getByText("frozen").waitFor();
        await page.getByTestId("accounts").getByRole("link", { name: carol }).click();
        await act(page, "Unfreeze", { Reason: "it was them" });
        await frozen.waitFor({ state: "detached" });
        await venue.order(who, "BUY", "0.001", "15000");
        await act(page, "Revoke");
        await page.getByText("No key.").waitFor();
        await assert.rejects(venue.ask(who, "GET", "account"), /-2015/);
      },
      REFUSED,
    ));

  test("books, fees by volume and payouts", () =>
    inConsole("venue", async (page) => {
      await enter(page, "admin");
      await go(page, "venue");
      const row = page.getByTestId("books").locator("tr", { hasText: "BTC" }).first();
      await row.waitFor();
      const [asset, assets, liabilities, revenue, clearing] = (await row.locator("td").allTextContents()).map((text) =>
        text.trim(),
      );
      assert.equal(asset, "BTC");
      assert.equal(clearing, "0");
      const units = (text) => BigInt(Math.round(Number(text) * 1e8));
      assert.equal(units(assets), units(liabilities) + units(revenue), "assets are liabilities and revenue");
      assert.ok(Number(revenue) > 0);
      await act(page, "Pay out", { Amount: "0.0001", Id: "p-1", Reason: "the end of the month" });
      await eventually(
        "revenue was paid out",
        async () => Number((await row.locator("td").allTextContents())[3]) < Number(revenue),
      );
      await act(page, "Set tiers", { "Asset of the volumes": "USDT", Tiers: "1000000, 0.0008, 0.001" });
      await page.getByTestId("tiers").getByText("0.08 %").waitFor();
      await act(page, "Set tiers", { Tiers: "" });
      await page.getByText("Fees do not depend on volumes.").waitFor();
    }));

  test("the books are audited on demand", () =>
    inConsole("audit", async (page) => {
      await enter(page, "viewer");
      await go(page, "audit");
      await page.getByRole("button", { name: "Audit now" }).click();
      await page.getByTestId("verdict").getByText("The books balance.").waitFor();
    }));

  test("the operator log tells who did what, and why", () =>
    inConsole("log", async (page) => {
      await enter(page, "desk");
      await go(page, "markets/BTCUSDT");
      await act(page, "Change fees", { Makers: "0.0009", Reason: "says “why”, & 왜" });
      await go(page, "log");
      const row = page.getByTestId("log").locator("tbody tr").first();
      await row.getByText("PATCH markets/BTCUSDT").waitFor();
      const told = await row.innerText();
      assert.ok(
        told.includes("desk-ann") && told.includes('"makerFee":"0.0009"') && told.includes("says “why”, & 왜"),
        told,
      );
      const { entries } = await admin("GET", "operator-log?limit=1");
      assert.deepEqual([entries[0].operator, entries[0].refused], ["desk-ann", null]);
      await page.getByLabel("Search the log").fill("nobody has done this");
      await page.getByText("No entry.").waitFor();
    }));

  test("who loses the token is logged out, and a venue that is away comes back", () =>
    inConsole(
      "lost",
      async (page) => {
        await enter(page, "support");
        await go(page, "overview");
        await venue.kill();
        await page.getByText("The venue does not answer.").first().waitFor();
        await venue.run();
        await page.getByText("The venue does not answer.").first().waitFor({ state: "detached" });
        await go(page, "log");
        await page.getByTestId("log").locator("tbody tr").first().waitFor();
        venue.operators = OPERATORS.filter(({ role }) => role !== "support");
        venue.tokens();
        await page.getByText("The venue no longer knows your token.").waitFor();
        venue.operators = OPERATORS;
        venue.tokens();
        await eventually(
          "the token is known again",
          async () => (await admin("GET", "operator", tokenOf("support"))).role === "support",
        );
      },
      { cuts: true },
    ));

  test("every page suits a screen reader, in both themes", async () => {
    for (const theme of ["dark", "light"]) {
      await inConsole(
        `axe-${theme}`,
        async (page) => {
          await enter(page, "admin");
          for (const name of PAGES) {
            await go(page, name);
            if (name === "audit") {
              await page.getByRole("button", { name: "Audit now" }).click();
              await page.getByTestId("verdict").waitFor();
            }
            await accessible(page, `${name}, ${theme}`);
          }
          await go(page, "accounts/ALICE");
          for (const button of ["Issue a key", "Cancel all orders", "Adjust"]) {
            await page.getByRole("button", { name: button, exact: true }).click();
            await accessible(page, `${button}, ${theme}`);
            await page.keyboard.press("Escape");
            await dialog(page).waitFor({ state: "detached" });
          }
        },
        { theme },
      );
    }
  });

  test("every page fits from a phone to a wide screen", async () => {
    for (const size of [
      [390, 844],
      [768, 1024],
      [1024, 768],
      [1440, 900],
      [1920, 1080],
      [2560, 1440],
    ]) {
      await inConsole(
        `size-${size[0]}`,
        async (page) => {
          await enter(page, "admin");
          for (const name of PAGES) {
            await go(page, name);
            if (name === "overview") {
              await eventually("charts have lines", async () => {
                await trade();
                return /ms|µs/.test((await page.getByTestId("figures").locator("dd").allTextContents())[2]);
              });
            }
            if (name === "audit") {
              await page.getByRole("button", { name: "Audit now" }).click();
              await page.getByTestId("verdict").waitFor();
            }
            const [full, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
            assert.ok(full <= seen, `${name} is ${full} wide at ${seen}`);
            await picture(page, `console-${name.replaceAll("/", "-")}-${size[0]}`);
          }
        },
        { size },
      );
    }
  });
});
