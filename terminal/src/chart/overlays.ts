// What stands in the chart besides candles: own orders, which can be dragged, own fills, and alerts.

import { type OverlayTemplate, registerOverlay } from "klinecharts";

export interface OrderMark {
  key: string;
  text: string;
  color: string;
  ink: string;
}

export interface FillMark {
  isBuy: boolean;
  color: string;
  edge: string;
}

const line = (name: string, dash: number[]): OverlayTemplate<OrderMark> => ({
  name,
  totalStep: 2,
  needDefaultPointFigure: false,
  needDefaultXAxisFigure: false,
  needDefaultYAxisFigure: false,
  createPointFigures: ({ overlay, coordinates, bounding }) => {
    const y = coordinates[0]?.y;
    if (y === undefined) return [];
    const { text, color, ink } = overlay.extendData;
    return [
      {
        type: "line",
        attrs: {
          coordinates: [
            { x: 0, y },
            { x: bounding.width, y },
          ],
        },
        styles: { style: "dashed", dashedValue: dash, color, size: 1 },
      },
      {
        type: "text",
        attrs: { x: bounding.width - 8, y, text, align: "right", baseline: "middle" },
        styles: {
          color: ink,
          backgroundColor: color,
          borderColor: color,
          borderRadius: 2,
          size: 11,
          paddingLeft: 5,
          paddingRight: 5,
          paddingTop: 3,
          paddingBottom: 3,
        },
      },
    ];
  },
});

const fill: OverlayTemplate<FillMark> = {
  name: "ownFill",
  totalStep: 2,
  needDefaultPointFigure: false,
  needDefaultXAxisFigure: false,
  needDefaultYAxisFigure: false,
  createPointFigures: ({ overlay, coordinates }) => {
    const point = coordinates[0];
    if (!point) return [];
    const { isBuy, color, edge } = overlay.extendData;
    const [tip, foot] = isBuy ? [point.y + 3, point.y + 12] : [point.y - 3, point.y - 12];
    const triangle = [
      { x: point.x, y: tip },
      { x: point.x - 5, y: foot },
      { x: point.x + 5, y: foot },
    ];
    return [
      {
        type: "polygon",
        ignoreEvent: true,
        attrs: { coordinates: triangle },
        styles: { style: "stroke_fill", color, borderColor: edge, borderSize: 1 },
      },
    ];
  },
};

let isRegistered = false;

export function register(): void {
  if (isRegistered) return;
  isRegistered = true;
  registerOverlay(line("ownOrder", [6, 3]));
  registerOverlay(line("alert", [2, 3]));
  registerOverlay(fill);
}
