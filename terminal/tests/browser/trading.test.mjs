// What a trader does: log in, place orders of every kind, change and cancel them, log out.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";

import { PICTURES, Venue, eventually, logIn, noticed, number, onPage, picture, quit } from "./harness.mjs";

/** Most tests place many orders and are not asked about each. */
const unasked = (page) =>
  page.addInitScript(() => {
    localStorage["crossbook.terminal"] ??= JSON.stringify({ confirm: false });
  });

const ticket = (page) => page.getByTestId("ticket");
const field = (page, key) => ticket(page).locator(`[data-key="${key}"]`);

async function kind(page, name) {
  const quick = { LIMIT: "Limit", MARKET: "Market", STOP_LOSS_LIMIT: "Stop limit" }[name];
  if (quick) await ticket(page).getByRole("button", { name: quick, exact: true }).click();
  else await field(page, "kind").selectOption(name);
}

async function side(page, name) {
  await ticket(page).getByRole("group", { name: "Side" }).getByRole("button", { name }).click();
}

/** Fills in fields by their keys; a list of choices by its values. */
async function fill(page, values) {
  for (const [key, value] of Object.entries(values)) {
    const node = field(page, key);
    if ((await node.evaluate(({ tagName }) => tagName)) === "SELECT") await node.selectOption(value);
    else await node.fill(value);
  }
}

const place = (page) => page.getByTestId("place").click();
const boxOf = (node) => eventually("it is on the page", () => node.boundingBox());
const rows = (page) => page.getByTestId("rows").locator("tbody tr");
const tab = (page, name) => page.getByRole("tab", { name }).click();

describe("a market of two", () => {
  let venue, alice, bob;
  const openOrders = (who = alice) => venue.ask(who, "GET", "openOrders", { symbol: "BTCUSDT" });
  const lastOrder = async () => (await venue.ask(alice, "GET", "allOrders", { symbol: "BTCUSDT" })).at(-1);

  before(async () => {
    venue = await Venue.start();
    venue.list("BTCUSDT", "--max-num-algo-orders", "20");
    [alice, bob] = [venue.open("alice"), venue.open("bob")];
    // A trade at 100, and a book around it.
    await venue.order(bob, "SELL", "0.1", "100");
    await venue.order(alice, "BUY", "0.1", "100");
    for (const [at, quantity] of [
      ["101", "1"],
      ["102", "2"],
      ["103", "4"],
    ])
      await venue.order(bob, "SELL", quantity, at);
    for (const [at, quantity] of [
      ["99", "1"],
      ["98", "2"],
      ["97", "4"],
    ])
      await venue.order(bob, "BUY", quantity, at);
  });
  after(async () => {
    await venue.stop();
    await quit();
  });

  test("the form says what an order costs, what is wrong with it, and why it was refused", () =>
    onPage(venue, "form", async (page) => {
      await logIn(page, alice);
      await side(page, "Buy");
      await fill(page, { price: "90.005", quantity: "1" });
      await ticket(page).getByText("Prices go in steps of 0.01").waitFor();
      await fill(page, { price: "90", quantity: "0.01" });
      await ticket(page).getByText("The order must be worth at least 5 USDT").waitFor();
      await fill(page, { quantity: "100000" });
      await ticket(page).getByText("Not enough USDT").waitFor();
      await place(page);
      assert.equal((await openOrders()).length, 0, "nothing was sent");
      await fill(page, { quantity: "2" });
      assert.equal(await page.getByTestId("cost").textContent(), "180.00 USDT");
      assert.equal(await page.getByTestId("fee").textContent(), "0.002 BTC");
      assert.equal(await page.getByTestId("result").textContent(), "1.998 BTC");
      // A post-only order that would trade is refused by the venue.
      await kind(page, "LIMIT_MAKER");
      await fill(page, { price: "101", quantity: "0.5" });
      await place(page);
      await page.getByTestId("confirm").click();
      await noticed(page, "The order would trade at once");
      await picture(page, "refused");
      // A market order by amount, of a part of the balance.
      await kind(page, "MARKET");
      await field(page, "unit").click();
      await fill(page, { quantity: "50.5" });
      assert.equal(await page.getByTestId("result").textContent(), "0.4995 BTC");
      await ticket(page).getByRole("button", { name: "25 % of the balance" }).click();
      const { balances } = await venue.ask(alice, "GET", "account", { omitZeroBalances: "true" });
      const free = Number(balances.find(({ asset }) => asset === "USDT").free);
      assert.ok(Math.abs(number(await field(page, "quantity").inputValue()) - free / 4) < 0.01);
    }));

  // Each kind: what is filled in, and what the venue then has.
  const SINGLES = [
    ["LIMIT", "Buy", { price: "90", quantity: "0.5" }, { price: "90.00000000", timeInForce: "GTC" }],
    ["LIMIT", "Sell", { price: "110", quantity: "0.5", "main-iceberg": "0.1" }, { icebergQty: "0.10000000" }],
    ["LIMIT_MAKER", "Sell", { price: "111", quantity: "0.5" }, { type: "LIMIT_MAKER" }],
    ["LIMIT", "Buy", { quantity: "0.5", "main-peg": "PRIMARY_PEG" }, { pegPriceType: "PRIMARY_PEG" }],
    ["STOP_LOSS", "Sell", { price: "80", quantity: "0.5" }, { type: "STOP_LOSS", stopPrice: "80.00000000" }],
    [
      "STOP_LOSS_LIMIT",
      "Buy",
      { stopPrice: "120", price: "121", quantity: "0.5" },
      { type: "STOP_LOSS_LIMIT", stopPrice: "120.00000000" },
    ],
    ["TAKE_PROFIT", "Buy", { price: "85", quantity: "0.5" }, { type: "TAKE_PROFIT" }],
    ["TAKE_PROFIT_LIMIT", "Sell", { stopPrice: "130", price: "129", quantity: "0.5" }, { type: "TAKE_PROFIT_LIMIT" }],
    ["STOP_LOSS", "Sell", { quantity: "0.5", "main-trail": "5" }, { trailingDelta: 500 }],
  ];

  test("an order of each kind is placed, seen and cancelled", () =>
    onPage(
      venue,
      "kinds",
      async (page) => {
        await logIn(page, alice);
        await ticket(page).getByRole("button", { name: "+ More" }).click();
        for (const [type, way, values, wanted] of SINGLES) {
          const told = `${type} ${JSON.stringify(values)}`;
          await kind(page, type);
          await side(page, way);
          for (const key of ["main-peg", "main-iceberg", "main-trail", "price", "stopPrice"]) {
            if (!(key in values) && (await field(page, key).count()) > 0) await fill(page, { [key]: "" });
          }
          await fill(page, values);
          await place(page);
          const [order] = await eventually(told, async () => {
            const open = await openOrders();
            return open.length === 1 && open;
          });
          for (const [name, value] of Object.entries(wanted))
            assert.equal(String(order[name]), String(value), `${told}: ${name}`);
          assert.equal(order.side, way.toUpperCase());
          const row = rows(page).and(page.locator(`[data-order="${order.orderId}"]`));
          await row.getByRole("button", { name: `Cancel ${order.orderId}` }).click();
          await row.waitFor({ state: "detached" });
          assert.deepEqual(await openOrders(), [], told);
        }
        // Those that never rest.
        await kind(page, "LIMIT");
        await side(page, "Buy");
        await fill(page, { "main-iceberg": "", price: "101", quantity: "0.1", "main-tif": "IOC" });
        await place(page);
        await noticed(page, "Order filled");
        // What was sent leaves the form, and the rarer fields with it.
        await eventually("the form is empty", async () => (await field(page, "quantity").inputValue()) === "");
        assert.equal(await field(page, "main-tif").inputValue(), "GTC");
        await fill(page, { quantity: "50", "main-tif": "FOK" });
        await place(page);
        await noticed(page, "Order expired");
        await kind(page, "MARKET");
        await fill(page, { quantity: "0.1" });
        await place(page);
        await eventually("a market order is filled", async () => (await lastOrder()).type === "MARKET");
        await tab(page, "Order history");
        const states = await rows(page).allInnerTexts();
        assert.ok(states.some((text) => text.includes("Cancelled")) && states.some((text) => text.includes("Filled")));
        await tab(page, "Fills");
        await rows(page).filter({ hasText: "101.00" }).first().waitFor();
        await tab(page, "Balances");
        await rows(page).filter({ hasText: "BTC" }).waitFor();
        await picture(page, "balances");
        // Everything can be saved as a file.
        await tab(page, "Fills");
        const download = page.waitForEvent("download");
        await page.getByRole("button", { name: "Export CSV" }).click();
        const file = path.join(PICTURES, "fills.csv");
        await (await download).saveAs(file);
        const [head, first] = fs.readFileSync(file, "utf8").split("\r\n");
        assert.ok(head.startsWith("symbol,id,orderId,price,qty") && first.startsWith("BTCUSDT,"), `${head}\n${first}`);
      },
      { before: unasked },
    ));

  // The orders of each list by their types, in the order in which the venue numbers them.
  const LISTS = [
    ["OCO", "Sell", { quantity: "0.5", price: "140", stopPrice: "80" }, ["LIMIT_MAKER", "STOP_LOSS"]],
    ["OTO", "Buy", { price: "90", quantity: "0.5", "pending-price": "120" }, ["LIMIT", "LIMIT"]],
    [
      "OTOCO",
      "Buy",
      { price: "90", quantity: "0.5", "take-price": "140", stopPrice: "80" },
      ["LIMIT", "LIMIT_MAKER", "STOP_LOSS"],
    ],
    ["OPO", "Buy", { price: "90", quantity: "0.5", "pending-price": "120" }, ["LIMIT", "LIMIT"]],
    [
      "OPOCO",
      "Buy",
      { price: "90", quantity: "0.5", "take-price": "140", stopPrice: "80" },
      ["LIMIT", "LIMIT_MAKER", "STOP_LOSS"],
    ],
  ];

  test("a list of each kind is placed, seen and cancelled", () =>
    onPage(
      venue,
      "lists",
      async (page) => {
        await logIn(page, alice);
        for (const [type, way, values, wanted] of LISTS) {
          await kind(page, type);
          if (!type.startsWith("OPO")) await side(page, way);
          await fill(page, values);
          await place(page);
          await eventually(`${type} is open`, async () => {
            const open = await openOrders();
            return (
              open.length === wanted.length &&
              assert.deepEqual(open.map((order) => order.type).sort(), wanted.toSorted()) === undefined
            );
          });
          await eventually(`${type} is shown`, async () => (await rows(page).count()) === wanted.length);
          if (type === "OTOCO") await picture(page, "otoco");
          await rows(page)
            .first()
            .getByRole("button", { name: /^Cancel list/ })
            .click();
          await eventually(
            `${type} is gone`,
            async () => (await openOrders()).length === 0 && (await rows(page).count()) === 0,
          );
        }
      },
      { before: unasked },
    ));

  test("orders are changed by hand, on the chart and in the book, and cancelled by side and all at once", () =>
    onPage(
      venue,
      "change",
      async (page) => {
        await logIn(page, alice);
        const order = (way, quantity, at) => venue.order(alice, way, quantity, at);
        const first = await order("BUY", "0.5", "95");
        const row = rows(page).filter({ hasText: "BTCUSDT" }).first();
        await row.waitFor();
        // A smaller quantity keeps the order.
        await row.getByRole("button", { name: /^Change/ }).click();
        await field2(page, "edit-quantity").fill("0.4");
        await page.getByTestId("save").click();
        await eventually("the order is smaller", async () => {
          const [open] = await openOrders();
          return open?.orderId === first.orderId && Number(open.origQty) === 0.4;
        });
        // Another price is another order in its place.
        await row.getByRole("button", { name: /^Change/ }).click();
        await field2(page, "edit-price").fill("96");
        await page.getByTestId("save").click();
        await eventually("the order has moved", async () => {
          const open = await openOrders();
          return open.length === 1 && Number(open[0].price) === 96 && Number(open[0].origQty) === 0.4;
        });
        // In the book, the mark is dragged to another row.
        const mark = page.locator(".bids .line:has(.own)");
        await mark.waitFor();
        const from = await boxOf(mark.locator(".own"));
        const to = await boxOf(page.locator(".bids .line").filter({ hasText: "98.00" }));
        const drag = async () => {
          await page.mouse.move(from.x + 4, from.y + 6);
          await page.mouse.down();
          await page.mouse.move(to.x + 60, to.y + 10, { steps: 6 });
        };
        // Esc gives the drag up.
        await drag();
        await page.keyboard.press("Escape");
        await page.mouse.up();
        assert.equal(Number((await openOrders())[0].price), 96);
        await drag();
        await page.mouse.up();
        await eventually("the order is at 98", async () => Number((await openOrders())[0]?.price) === 98);
        // On the chart, the line of one is.
        const drawn = await order("BUY", "0.3", "100.4");
        const canvas = await boxOf(page.getByTestId("chart"));
        await picture(page, "own-order");
        // Over a line that can be dragged, the pointer shows it.
        const x = canvas.x + 120;
        const isLine = ([x, y]) => getComputedStyle(document.elementFromPoint(x, y)).cursor === "pointer";
        const y = await eventually("the line is found", async () => {
          for (let y = canvas.y + 40; y < canvas.y + canvas.height - 120; y += 3) {
            await page.mouse.move(x, y);
            if (await page.evaluate(isLine, [x, y])) return y;
          }
          return 0;
        });
        await page.mouse.down();
        await page.mouse.move(x, y + 30, { steps: 8 });
        await page.mouse.up();
        await eventually("the order is lower", async () => {
          const open = await openOrders();
          const moved = open.find((one) => Number(one.origQty) === 0.3);
          return open.length === 2 && moved && moved.orderId !== drawn.orderId && Number(moved.price) < 100.4;
        });
        for (const at of ["94", "93"]) await order("BUY", "0.1", at);
        for (const at of ["150", "151"]) await order("SELL", "0.1", at);
        await eventually("six are shown", async () => (await rows(page).count()) === 6);
        await page.getByRole("button", { name: "Cancel sells" }).click();
        await eventually("the sells are gone", async () => (await openOrders()).every((open) => open.side === "BUY"));
        await page.keyboard.press("Shift+X");
        await page.getByRole("dialog").getByRole("button", { name: "Cancel all" }).click();
        await eventually(
          "all are gone",
          async () => (await openOrders()).length === 0 && (await rows(page).count()) === 0,
        );
      },
      { before: unasked },
    ));

  test("a maker is told of each fill, and its balance is live", () =>
    onPage(
      venue,
      "fills",
      async (page) => {
        await logIn(page, alice);
        await kind(page, "LIMIT");
        await side(page, "Sell");
        await fill(page, { price: "100.5", quantity: "0.2" });
        await place(page);
        await rows(page).first().waitFor();
        const before = number(await page.getByTestId("available").textContent());
        await venue.order(bob, "BUY", "0.05", "100.5");
        await noticed(page, "Order partly filled");
        await rows(page).filter({ hasText: "25 %" }).waitFor();
        await venue.order(bob, "BUY", "0.15", "100.5");
        await noticed(page, "Order filled");
        await side(page, "Buy");
        assert.equal(before, number(before));
        await tab(page, "Fills");
        await rows(page).filter({ hasText: "Maker" }).first().waitFor();
        await picture(page, "fills");
      },
      { before: unasked },
    ));

  test("a key made in the browser opens the account, cannot be read, and is forgotten at log-out", () =>
    onPage(
      venue,
      "ed25519",
      async (page) => {
        await page.getByRole("banner").getByRole("button", { name: "Log in" }).click();
        const dialog = page.getByRole("dialog");
        await dialog.getByRole("button", { name: "Make a key" }).click();
        const publicKey = await dialog.getByLabel("Public key").inputValue();
        const file = path.join(venue.folder, "key.pem");
        fs.writeFileSync(file, publicKey);
        const { apiKey } = venue.operate(
          "keys",
          "issue",
          String(alice.account),
          "--permissions",
          "READ,TRADE",
          "--public-key",
          file,
        );
        await dialog.getByLabel("API key", { exact: true }).fill(apiKey);
        await picture(page, "log-in");
        await dialog.getByRole("button", { name: "Log in", exact: true }).click();
        await page.getByTestId("available").filter({ hasText: "USDT" }).waitFor();
        const refused = await page.evaluate(
          () =>
            new Promise((resolve) => {
              const opening = indexedDB.open("crossbook-terminal");
              opening.onsuccess = () => {
                const reading = opening.result.transaction("keys").objectStore("keys").get("current");
                reading.onsuccess = async () => {
                  const key = reading.result.privateKey;
                  opening.result.close();
                  const formats = ["pkcs8", "jwk", "raw"];
                  const tries = await Promise.allSettled(formats.map((format) => crypto.subtle.exportKey(format, key)));
                  resolve(key.extractable === false && tries.every(({ status }) => status === "rejected"));
                };
              };
            }),
        );
        assert.equal(refused, true, "nobody can read the private half");
        // It is still logged in after the page was loaded anew, and trades.
        await page.reload();
        await page.getByTestId("available").filter({ hasText: "USDT" }).waitFor();
        await fill(page, { price: "90", quantity: "0.1" });
        await place(page);
        await eventually("an order", async () => (await openOrders()).length === 1);
        // It is deleted with the log-out, which asks first.
        await page.getByRole("button", { name: "Log out" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Do not" }).click();
        await page.getByTestId("available").filter({ hasText: "USDT" }).waitFor();
        await page.getByRole("button", { name: "Log out" }).click();
        await page.getByTestId("yes").click();
        await page.getByText("Log in to see your orders").waitFor();
        await eventually("the key is deleted", () =>
          page.evaluate(async () => (await indexedDB.databases()).length === 0),
        );
        await page.reload();
        await page.getByText("Log in to see your orders").waitFor();
        await venue.ask(alice, "DELETE", "openOrders", { symbol: "BTCUSDT" });
      },
      { before: unasked },
    ));

  test("a wrong secret and a revoked key are told", () =>
    onPage(venue, "denied", async (page) => {
      await page.getByRole("banner").getByRole("button", { name: "Log in" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByRole("button", { name: "HMAC secret" }).click();
      await dialog.getByLabel("API key", { exact: true }).fill(alice.apiKey);
      await dialog.getByLabel("Secret", { exact: true }).fill("wrong");
      await dialog.getByRole("button", { name: "Log in", exact: true }).click();
      await noticed(page, "The secret does not belong to the API key".replace("The", "the"));
      await page.getByText("Log in to see your orders").waitFor();
    }));

  test("after the venue died and came back, the session is back, and so are the orders", () =>
    onPage(
      venue,
      "session",
      async (page) => {
        await logIn(page, alice);
        await venue.order(alice, "BUY", "0.3", "91");
        await rows(page).filter({ hasText: "91.00" }).waitFor();
        await venue.kill();
        await page.getByText("Connection to your account lost").waitFor();
        await picture(page, "session-lost");
        await venue.run();
        await page.getByText("Connection to your account lost").waitFor({ state: "detached" });
        await rows(page).filter({ hasText: "91.00" }).waitFor();
        await venue.ask(alice, "DELETE", "openOrders", { symbol: "BTCUSDT" });
        await eventually("it is gone", async () => (await rows(page).count()) === 0);
      },
      { cuts: true, before: unasked },
    ));
});

/** Fields of a window. */
const field2 = (page, key) => page.getByRole("dialog").locator(`[data-key="${key}"]`);

describe("a demo", () => {
  let venue;
  before(async () => (venue = await Venue.start("demo")));
  after(async () => {
    await venue.stop();
    await quit();
  });

  test("one click trades as alice", () =>
    onPage(venue, "one click", async (page) => {
      await eventually("a price", async () => number(await page.locator('[data-field="last"]').textContent()) > 0);
      await page.getByRole("banner").getByRole("button", { name: "Log in" }).click();
      await page.getByRole("button", { name: "Trade as alice" }).click();
      await page.getByTestId("available").filter({ hasText: "USDT" }).waitFor();
      await kind(page, "MARKET");
      await fill(page, { quantity: "0.01" });
      await place(page);
      await page.getByTestId("confirm").click();
      await noticed(page, "Order filled");
      // A price that is pointed at in the book becomes that of a limit order.
      await page.locator(".bids .row").nth(5).click();
      const pointed = Number(await field(page, "price").inputValue());
      assert.ok(pointed > 0);
      await fill(page, { price: (pointed * 0.95).toFixed(2), quantity: "0.02" });
      await place(page);
      await page.getByTestId("confirm").click();
      await rows(page).first().waitFor();
      await picture(page, "trading-1440");
    }));
});
