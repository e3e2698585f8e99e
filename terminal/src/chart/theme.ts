// The look of the chart, from the tokens of the page.

import type { DeepPartial, Styles } from "klinecharts";

export function styles(): DeepPartial<Styles> {
  const computed = getComputedStyle(document.documentElement);
  const token = (name: string) => computed.getPropertyValue(`--${name}`).trim();
  const [up, down, line, edge] = [token("up"), token("down"), token("line"), token("edge")];
  const [text, soft, faint, panel, raised] = [
    token("text"),
    token("soft"),
    token("faint"),
    token("panel"),
    token("raised"),
  ];
  const family = getComputedStyle(document.body).fontFamily;
  const label = { size: 11, family, weight: "normal" };
  const tint = (color: string) => `${color}66`;
  return {
    grid: { horizontal: { color: line, style: "solid" }, vertical: { color: line, style: "solid" } },
    candle: {
      bar: {
        upColor: up,
        downColor: down,
        noChangeColor: faint,
        upBorderColor: up,
        downBorderColor: down,
        noChangeBorderColor: faint,
        upWickColor: up,
        downWickColor: down,
        noChangeWickColor: faint,
      },
      priceMark: {
        high: { color: soft, textFamily: family, textSize: 11 },
        low: { color: soft, textFamily: family, textSize: 11 },
        last: {
          upColor: up,
          downColor: down,
          noChangeColor: faint,
          line: { style: "dashed", dashedValue: [2, 3] },
          text: { ...label, color: "#ffffff", borderRadius: 2 },
        },
      },
      tooltip: {
        title: { show: false },
        legend: {
          ...label,
          color: soft,
          defaultValue: "–",
          template: [
            { title: "O ", value: "{open}" },
            { title: "H ", value: "{high}" },
            { title: "L ", value: "{low}" },
            { title: "C ", value: "{close}" },
            { title: "", value: "{change}" },
            { title: "V ", value: "{volume}" },
          ],
        },
      },
    },
    indicator: {
      ohlc: { upColor: tint(up), downColor: tint(down), noChangeColor: tint(faint) },
      bars: [{ upColor: tint(up), downColor: tint(down), noChangeColor: tint(faint) }],
      lines: ["#e0a53a", "#5b9ded", "#b06fe0", "#33b8b0", "#e07a5f"].map((color) => ({ color, size: 1 })),
      lastValueMark: { show: false },
      tooltip: { title: { ...label, color: faint }, legend: { ...label, color: soft, defaultValue: "–" } },
    },
    xAxis: { axisLine: { color: line }, tickLine: { color: line }, tickText: { ...label, color: faint } },
    yAxis: { axisLine: { color: line }, tickLine: { show: false }, tickText: { ...label, color: soft } },
    separator: { color: line, activeBackgroundColor: tint(edge) },
    crosshair: {
      horizontal: {
        line: { color: faint, dashedValue: [3, 3] },
        text: { ...label, color: text, backgroundColor: raised, borderColor: edge, borderSize: 1, borderRadius: 2 },
      },
      vertical: {
        line: { color: faint, dashedValue: [3, 3] },
        text: { ...label, color: text, backgroundColor: raised, borderColor: edge, borderSize: 1, borderRadius: 2 },
      },
    },
    overlay: {
      point: { color: token("focus"), borderColor: panel, activeColor: token("focus"), activeBorderColor: panel },
      line: { color: token("focus"), size: 1 },
      rect: { color: tint(token("focus")), borderColor: token("focus") },
      polygon: { color: tint(token("focus")), borderColor: token("focus") },
      text: { ...label, color: panel, backgroundColor: token("focus"), borderColor: token("focus"), borderRadius: 2 },
    },
  };
}
