// Refusals in words. The venue's own text is always shown besides, because it is exact.

/** Keys are codes, or a code and the beginning of the venue's text. The first that fits is taken. */
const ENGLISH: [string, string][] = [
  ["-2010 Account has insufficient", "There is not enough on the account for this order."],
  [
    "-2010 Order would immediately match",
    "The order would trade at once, and post-only orders must not. Choose a price behind the best one.",
  ],
  [
    "-2010 Stop price would trigger",
    "The stop price has been reached already, so the order would be triggered at once.",
  ],
  ["-2010 Order would trigger", "The stop price has been reached already, so the order would be triggered at once."],
  ["-2010 Market is closed", "The market is not trading now."],
  ["-2010 Duplicate", "An order of this name is open already."],
  ["-2010 The relationship", "The prices of the pair are on the wrong sides of the market."],
  ["-2010 Order book liquidity", "There is not enough on the other side of the book."],
  ["-2010", "The venue does not take the order."],
  ["-2011 Order was not canceled due", "The order is no longer in the state in which it was to be cancelled."],
  ["-2011", "There is no such open order; it may have been filled or cancelled meanwhile."],
  ["-1013 Filter failure: PRICE_FILTER", "The price is outside the market's bounds, or not a multiple of its tick."],
  ["-1013 Filter failure: PERCENT_PRICE", "The price is too far from the market."],
  ["-1013 Filter failure: LOT_SIZE", "The quantity is outside the market's bounds, or not a multiple of its step."],
  ["-1013 Filter failure: MARKET_LOT_SIZE", "The quantity is too large for one market order."],
  ["-1013 Filter failure: NOTIONAL", "The order is worth too little or too much."],
  ["-1013 Filter failure: MIN_NOTIONAL", "The order is worth too little."],
  ["-1013 Filter failure: MAX_NUM_ORDERS", "There are too many open orders in this market already."],
  ["-1013 Filter failure: MAX_NUM_ALGO", "There are too many waiting stop orders in this market already."],
  ["-1013 Filter failure: MAX_NUM_ICEBERG", "There are too many iceberg orders in this market already."],
  ["-1013 Filter failure: MAX_NUM_ORDER_LISTS", "There are too many order lists in this market already."],
  ["-1013 Filter failure: ICEBERG_PARTS", "The visible part is too small for the quantity."],
  ["-1013 Filter failure: TRAILING_DELTA", "The order trails too closely, or from too far."],
  ["-1013 Filter failure: MAX_POSITION", "The account would come to have more than the market allows."],
  ["-1013", "The order breaks a rule of the market."],
  ["-1003", "Too many requests. Wait a moment."],
  ["-1015", "Too many orders in a short time. Wait a moment."],
  ["-1008", "The venue is overloaded and did nothing. Try again."],
  ["-1016", "The venue is stopping and did nothing."],
  ["-1021", "The request came too late, or this machine's clock is wrong."],
  ["-1022", "The signature is not valid: the secret does not belong to the API key."],
  ["-2014", "An API key has 64 letters and digits."],
  ["-2015", "The key is unknown, revoked, not allowed from this address, or without the permission."],
  ["-2021", "Only one half was done: look at your open orders."],
  ["-2022", "The change was not made; the order is as it was."],
  ["-2038", "The order cannot be changed in this way."],
  ["-1111", "A number has too many digits."],
];

const KOREAN: [string, string][] = [
  ["-2010 Account has insufficient", "잔고가 부족합니다."],
  [
    "-2010 Order would immediately match",
    "즉시 체결될 주문입니다. 지정가 전용(Post only) 주문은 최우선 호가보다 뒤의 가격이어야 합니다.",
  ],
  ["-2010 Stop price would trigger", "스탑 가격에 이미 도달하여 즉시 발동될 주문입니다."],
  ["-2010 Order would trigger", "스탑 가격에 이미 도달하여 즉시 발동될 주문입니다."],
  ["-2010 Market is closed", "현재 거래가 중단된 마켓입니다."],
  ["-2010 The relationship", "두 주문의 가격이 시장가의 반대쪽에 있습니다."],
  ["-2010", "거래소가 주문을 받지 않았습니다."],
  ["-2011", "해당 미체결 주문이 없습니다. 이미 체결되었거나 취소되었을 수 있습니다."],
  ["-1013 Filter failure: PRICE_FILTER", "가격이 허용 범위를 벗어났거나 호가 단위에 맞지 않습니다."],
  ["-1013 Filter failure: PERCENT_PRICE", "가격이 시장가에서 너무 멉니다."],
  ["-1013 Filter failure: LOT_SIZE", "수량이 허용 범위를 벗어났거나 수량 단위에 맞지 않습니다."],
  ["-1013 Filter failure: NOTIONAL", "주문 금액이 너무 작거나 큽니다."],
  ["-1013", "마켓의 규칙에 맞지 않는 주문입니다."],
  ["-1003", "요청이 너무 많습니다. 잠시 후 다시 시도하세요."],
  ["-1015", "짧은 시간에 주문이 너무 많습니다. 잠시 후 다시 시도하세요."],
  ["-1008", "거래소가 혼잡하여 아무것도 처리되지 않았습니다. 다시 시도하세요."],
  ["-1021", "요청이 너무 늦었거나 이 기기의 시계가 맞지 않습니다."],
  ["-1022", "서명이 올바르지 않습니다. 시크릿이 API 키와 맞지 않습니다."],
  ["-2014", "API 키는 영문자와 숫자 64자입니다."],
  ["-2015", "알 수 없거나 폐기되었거나 권한이 없는 API 키입니다."],
  ["-2021", "절반만 처리되었습니다. 미체결 주문을 확인하세요."],
  ["-2022", "변경되지 않았습니다. 주문은 그대로입니다."],
  ["-2038", "이 주문은 이렇게 변경할 수 없습니다."],
];

/** A refusal in words. */
export function refusalText(code: number, message: string, locale: string): string {
  const full = `${code} ${message}`;
  const tables = locale === "ko" ? [KOREAN, ENGLISH] : [ENGLISH];
  for (const table of tables) {
    const found = table.find(([start]) => (start.includes(" ") ? full.startsWith(start) : String(code) === start));
    if (found) return found[1];
  }
  return message;
}
