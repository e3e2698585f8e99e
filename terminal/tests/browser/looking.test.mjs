// What anybody sees without logging in.

import assert from "node:assert/strict";
import zlib from "node:zlib";
import { after, before, describe, test } from "node:test";

import { Venue, accessible as axe, eventually, noticed, number, onPage, picture, quit } from "./harness.mjs";

/** What a reader with a screen reader or without a mouse would stumble over. */
const accessible = (page) => axe(page, "terminal", { onlySerious: true });

const shown = (page) =>
  page.waitForFunction(() => {
    const candles = Number(document.querySelector('[data-testid="chart"]')?.dataset.candles ?? 0);
    const tape = document.querySelector('[data-testid="tape"]');
    const levels = document.querySelectorAll('[data-testid="ladder"] .row').length;
    return candles > 100 && levels > 10 && (tape === null || tape.querySelectorAll("li").length > 10);
  });
const price = (page) => page.locator('[data-field="last"]').textContent().then(number);

describe("a demo", () => {
  let venue;
  before(async () => (venue = await Venue.start("demo")));
  after(() => venue.stop());

  test("prices move, and book, trades and statistics are the venue's", () =>
    onPage(venue, "looking", async (page) => {
      await shown(page);
      const first = await price(page);
      await eventually("another price", async () => (await price(page)) !== first);
      const rows = (side) =>
        page
          .locator(`.${side} .row`)
          .evaluateAll((found) =>
            found.map((row) =>
              [...row.querySelectorAll("span")].map((cell) => Number(cell.textContent.replaceAll(",", ""))),
            ),
          );
      const [asks, bids] = [await rows("asks"), await rows("bids")];
      assert.ok(asks.length >= 8 && bids.length >= 8);
      const sorted = (list) => list.every((row, at) => at === 0 || row[0] < list[at - 1][0]);
      assert.ok(sorted(asks) && sorted(bids), "prices fall from top to bottom");
      // The book is that of the venue in some moment that the page has not missed.
      await eventually("the book is the venue's", async () => {
        const {
          bids: [[best]],
        } = await (await fetch(`${venue.url}/api/v3/depth?symbol=BTCUSDT&limit=5`)).json();
        return (await rows("bids"))[0][0] === Number(best);
      });
      const { highPrice } = await (await fetch(`${venue.url}/api/v3/ticker/24hr?symbol=BTCUSDT`)).json();
      assert.ok((await page.locator("dl").first().innerText()).includes("24h high"));
      assert.ok(Number(highPrice) > 0);
      // Groups add up what lies in them.
      await page.getByLabel("Price grouping").selectOption("10");
      await eventually("prices are multiples of ten", async () => (await rows("bids")).every(([at]) => at % 10 === 0));
    }));

  test("every interval has its candles, and older ones come on panning", () =>
    onPage(venue, "candles", async (page) => {
      await shown(page);
      const intervals = [
        "1s",
        "3m",
        "5m",
        "15m",
        "30m",
        "1h",
        "2h",
        "4h",
        "6h",
        "8h",
        "12h",
        "1d",
        "3d",
        "1w",
        "1M",
        "1m",
      ];
      for (const interval of intervals) {
        const asked = page.waitForResponse((response) => response.url().includes(`interval=${interval}&`));
        await page.getByLabel("Interval").last().selectOption(interval);
        const rows = await (await asked).json();
        await eventually(`candles of ${interval}`, () =>
          page
            .getByTestId("chart")
            .getAttribute("data-candles")
            .then((count) => Number(count) >= Math.min(1, rows.length)),
        );
      }
      let older = false;
      page.on("request", (request) => (older ||= request.url().includes("endTime=")));
      await page.getByTestId("chart").focus();
      await eventually("older candles are asked for", async () => {
        for (let times = 0; times < 20; times += 1) await page.keyboard.press("ArrowLeft");
        return older;
      });
      await page.getByRole("button", { name: "To the newest candle" }).click();
      for (const name of ["MACD", "RSI", "BOLL"]) {
        await page.locator("summary", { hasText: "Indicators" }).click();
        await page.getByRole("checkbox", { name }).check();
        await page.locator("summary", { hasText: "Indicators" }).click();
      }
      await page.getByRole("button", { name: "Log", exact: true }).click();
      await page.locator("summary", { hasText: "Draw" }).click();
      await page.getByRole("button", { name: "Horizontal line" }).click();
      const box = await page.getByTestId("chart").boundingBox();
      await page.mouse.move(box.x + 200, box.y + 150);
      await page.mouse.click(box.x + 200, box.y + 150);
      const drawn = () => page.evaluate(() => JSON.parse(localStorage["crossbook.terminal"]).drawings?.BTCUSDT?.length);
      await eventually("the line is kept", async () => (await drawn()) === 1);
      await picture(page, "chart-1440");
      await page.getByRole("group", { name: "Chart" }).getByRole("button", { name: "Depth" }).click();
      await page.locator('[data-testid="depth"] canvas').waitFor();
      await picture(page, "depth-1440");
      await page.reload();
      await shown(page);
      assert.equal(await drawn(), 1, "also after the page was loaded anew");
    }));

  test("markets are searched, sorted, chosen and marked", () =>
    onPage(venue, "markets", async (page) => {
      await shown(page);
      const names = () => page.locator("button.market b").allTextContents();
      await page.getByRole("button", { name: "Market", exact: true }).first().click();
      assert.deepEqual(await names(), ["BTC", "ETH", "ETH", "SOL"]);
      await page.getByRole("button", { name: "Favourite ETHBTC" }).click();
      await page.getByRole("button", { name: "Favourites" }).click();
      assert.deepEqual(await names(), ["ETH"]);
      await page.locator("button.market").click();
      await eventually("the market is shown", async () => (await page.title()).includes("ETH/BTC"));
      assert.ok(page.url().endsWith("#ETHBTC"));
      await page.reload();
      await shown(page);
      assert.equal(await page.locator('[data-field="symbol"]').textContent(), "ETH/BTC");
      await page.keyboard.press("/");
      await page.keyboard.type("sol");
      await page.keyboard.press("Enter");
      await eventually("the market is shown", async () => (await page.title()).includes("SOL/USDT"));
    }));

  test("it is light or dark, English or Korean, and tells its keys", () =>
    onPage(
      venue,
      "settings",
      async (page) => {
        await shown(page);
        const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const dark = await ground();
        await page.keyboard.press("t");
        await eventually("it is light", async () => (await ground()) !== dark);
        await accessible(page);
        await page.keyboard.press("?");
        await page.getByRole("dialog").getByText("Cancel all open orders of this market").waitFor();
        await accessible(page);
        await page.keyboard.press("Escape");
        await page.getByRole("button", { name: "Settings" }).click();
        await accessible(page);
        await page.getByLabel("Language").selectOption("ko");
        await page.getByRole("dialog").getByText("테마").waitFor();
        await page.keyboard.press("Escape");
        assert.equal(await page.locator("html").getAttribute("lang"), "ko");
        await picture(page, "korean-light-1440");
        await page.reload();
        await page.getByRole("heading", { name: "호가창" }).waitFor();
      },
      { theme: "dark" },
    ));

  test("whoever wants to be told of a price is", () =>
    onPage(venue, "alerts", async (page) => {
      await shown(page);
      const now = await price(page);
      await page.getByRole("button", { name: "Alerts" }).click();
      for (const at of [now * 1.0001, now * 0.9999]) {
        await page.getByLabel("Tell me when").fill(at.toFixed(2));
        await page.getByRole("button", { name: "Add" }).click();
      }
      await accessible(page);
      await page.keyboard.press("Escape");
      await noticed(page, "BTCUSDT has reached");
    }));

  for (const [width, height] of [
    [390, 844],
    [768, 1024],
    [1024, 768],
    [1440, 900],
    [2560, 1440],
  ]) {
    test(`nothing overlaps on ${width} pixels`, () =>
      onPage(
        venue,
        `size ${width}`,
        async (page) => {
          await eventually("a price", async () => (await price(page)) > 0);
          if (width > 720) await shown(page);
          const problems = await page.evaluate(() => {
            const boxes = [...document.querySelectorAll(".panel")].map((node) => [
              node.getAttribute("aria-label"),
              node.getBoundingClientRect(),
            ]);
            const found = [];
            for (const [name, a] of boxes) {
              if (a.right > innerWidth + 1 || a.left < -1) found.push(`${name} leaves the page`);
              for (const [other, b] of boxes) {
                const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
                const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
                if (name < other && wide > 1 && high > 1) found.push(`${name} lies over ${other}`);
              }
            }
            if (document.documentElement.scrollWidth > innerWidth) found.push("the page is wider than the window");
            return found;
          });
          assert.deepEqual(problems, []);
          await picture(page, `dark-${width}`);
          await accessible(page);
          if (width === 390) {
            for (const tab of ["Book", "Trades", "Trade", "Orders"]) {
              await page
                .getByRole("navigation", { name: "Panels" })
                .getByRole("button", { name: tab, exact: true })
                .click();
              await page.locator("main section.panel").waitFor();
              await accessible(page);
              await picture(page, `dark-390-${tab.toLowerCase()}`);
            }
          }
        },
        { size: [width, height] },
      ));
  }

  test("it is small, is shown at once, and costs little", () =>
    onPage(venue, "cost", async (page) => {
      await shown(page);
      const files = await page.evaluate(() =>
        performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname),
      );
      const parts = [...new Set(["/", ...files.filter((name) => /\.(js|css|svg)$/.test(name)), "/Depth.js", "/ko.js"])];
      const bytes = await Promise.all(
        parts.map(
          async (name) => zlib.gzipSync(Buffer.from(await (await fetch(venue.url + name)).arrayBuffer())).length,
        ),
      );
      const all = bytes.reduce((sum, one) => sum + one, 0);
      assert.ok(all < 250 * 1024, `${all} bytes`);
      const paint = () =>
        page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Infinity);
      let soonest = Infinity;
      for (let times = 0; times < 4 && soonest >= 300; times += 1) {
        await page.reload();
        await shown(page);
        soonest = Math.min(soonest, await paint());
      }
      assert.ok(soonest < 300, `${soonest} ms to the first paint`);
      const policy = (await (await fetch(`${venue.url}/`)).headers).get("content-security-policy");
      assert.ok(policy.includes("default-src 'none'") && !policy.includes("unsafe"), policy);
    }));
});

describe("a venue that is new", () => {
  let venue;
  before(async () => (venue = await Venue.start()));
  after(async () => {
    await venue.stop();
    await quit();
  });

  test("without markets, orders or trades it says so, and shows the first of each", () =>
    onPage(venue, "empty", async (page) => {
      await page.getByTestId("empty").getByText("no markets yet").waitFor();
      venue.list();
      await eventually(
        "the market appears",
        async () =>
          (await page.title()).includes("Crossbook") &&
          (await page.locator('[data-field="symbol"]').textContent()) === "BTC/USDT",
      );
      await page.getByTestId("ladder").getByText("No orders").waitFor();
      await page.getByTestId("tape").getByText("No trades yet").waitFor();
      await page.getByText("Candles appear with the first trade.").waitFor();
      const [alice, bob] = [venue.open("alice"), venue.open("bob")];
      await venue.order(alice, "SELL", "1", "100");
      await page.locator(".asks .row").filter({ hasText: "100.00" }).waitFor();
      await venue.order(bob, "BUY", "0.4", "100");
      await page.getByTestId("tape").getByText("100.00").waitFor();
      assert.equal(await page.getByTestId("chart").getAttribute("data-candles"), "1");
      await picture(page, "first-trade");
    }));

  test("a market that is halted says so, and the form takes no orders", () =>
    onPage(venue, "halted", async (page) => {
      await page.getByTestId("ladder").getByText("100.00").first().waitFor();
      venue.operate("markets", "change", "BTCUSDT", "--status", "HALT");
      await page.getByTestId("closed").getByText("BTCUSDT is not trading: Halted").waitFor();
      await accessible(page);
      await picture(page, "halted");
      venue.operate("markets", "change", "BTCUSDT", "--status", "TRADING");
      await page.getByTestId("closed").waitFor({ state: "detached" });
    }));

  test("it comes back by itself when the venue does, and shows what is there then", () =>
    onPage(
      venue,
      "reconnect",
      async (page) => {
        const status = page.getByRole("status").first();
        await page.locator(".asks .row").filter({ hasText: "0.60000" }).waitFor();
        await venue.kill();
        await status.getByText("Connection lost").waitFor();
        await picture(page, "lost");
        await venue.run();
        await status.getByText("Live").waitFor();
        await page.locator(".asks .row").filter({ hasText: "0.60000" }).waitFor();
        await page.getByTestId("tape").getByText("100.00").waitFor();
      },
      { cuts: true },
    ));
});
