import { expect, test } from "vitest";

import { clockOffset } from "../../src/clock";
import { outcome } from "../../src/orders/outcome";

/** Asks with a clock that only the pauses move; `answers` are given one after the other, the last for ever. */
async function ask(answers: (string | null | Error)[], isWanted = () => true) {
  let time = 0;
  let tries = 0;
  const result = await outcome<string>({
    find: async () => {
      const answer = answers[Math.min(tries, answers.length - 1)]!;
      tries += 1;
      if (answer instanceof Error) throw answer;
      return answer;
    },
    isWanted,
    now: () => time,
    pause: async (millis) => void (time += millis),
  });
  return { result, time };
}

test("an order that is not there yet may still come", async () => {
  expect(await ask([null, null, "order"])).toEqual({ result: "order", time: 3_000 });
});

test("that it is not there is believed after the request has become invalid", async () => {
  const { result, time } = await ask([null]);
  expect(result).toBe("none");
  expect(time).toBeGreaterThan(8_000);
});

test("while nobody answers, nothing is believed", async () => {
  const lost = Array.from({ length: 60 }, () => new Error("not connected"));
  expect(await ask([...lost, "order"])).toEqual({ result: "order", time: 61_000 });
});

test("whoever left the account is told nothing", async () => {
  expect((await ask([null], () => false)).result).toBe(null);
});

test("a slow answer says nothing about the clock", () => {
  expect(clockOffset(1_000, 1_200, 1_600)).toBe(500);
  expect(clockOffset(1_000, 2_000, 1_600)).toBe(100);
  expect(clockOffset(1_000, 2_001, 1_600)).toBe(null);
  // The clock of this machine was set back meanwhile.
  expect(clockOffset(1_000, 900, 1_600)).toBe(null);
});
