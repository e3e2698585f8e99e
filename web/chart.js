// Candles and volume on a canvas: drag to move, wheel to zoom, point to read.

import { compact, direction, fixed, percent } from "./format.js";

const AXIS_WIDTH = 74;
const AXIS_HEIGHT = 24;
const VOLUME_SHARE = 0.18;
const BAR_MIN = 2;
const BAR_MAX = 40;
const PAD_RIGHT_BARS = 4;

export class Chart {
  #canvas;
  #context;
  #legend;
  #candles = [];
  #digits = 2;
  #interval = 60_000;
  #bar = 8;
  #offset = 0; // Bars between the newest candle and the right edge.
  #pointer = null;
  #drag = null;
  #queued = false;
  #colors = {};

  constructor(canvas, legend) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#legend = legend;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => {
      this.#colors = {};
      this.draw();
    });
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#drag = { x: event.offsetX, offset: this.#offset };
    });
    canvas.addEventListener("pointerup", () => (this.#drag = null));
    canvas.addEventListener("pointerleave", () => {
      this.#pointer = null;
      this.draw();
    });
    canvas.addEventListener("wheel", (event) => this.#zoom(event), { passive: false });
    canvas.addEventListener("dblclick", () => {
      this.#offset = 0;
      this.draw();
    });
  }

  /** Shows other candles: [{time, open, high, low, close, volume}], oldest first. */
  show(candles, interval, digits) {
    this.#candles = candles;
    this.#interval = interval;
    this.#digits = digits;
    this.#offset = 0;
    this.draw();
  }

  /** Takes a candle that is newer than all, or a newer state of the newest. */
  update(candle) {
    const last = this.#candles.at(-1);
    if (last && candle.time < last.time) return;
    if (last?.time === candle.time) {
      this.#candles[this.#candles.length - 1] = candle;
    } else {
      // Periods without a trade are not sent; they stand where the last trade was.
      for (let time = last ? last.time + this.#interval : candle.time; time < candle.time; time += this.#interval) {
        const { close } = last;
        this.#candles.push({ time, open: close, high: close, low: close, close, volume: 0 });
        if (this.#candles.length > 5_000) break;
      }
      this.#candles.push(candle);
      if (this.#candles.length > 3_000) this.#candles.splice(0, this.#candles.length - 2_000);
      // Whoever looks at the past keeps seeing the same part of it.
      if (this.#offset > 0) this.#offset += 1;
    }
    this.draw();
  }

  /** Draws with the next frame. */
  draw() {
    if (this.#queued) return;
    this.#queued = true;
    requestAnimationFrame(() => {
      this.#queued = false;
      this.#paint();
    });
  }

  #move(event) {
    this.#pointer = { x: event.offsetX, y: event.offsetY };
    if (this.#drag) {
      const bars = (event.offsetX - this.#drag.x) / this.#bar;
      this.#offset = Math.max(-20, Math.min(this.#drag.offset + bars, this.#candles.length - 5));
    }
    this.draw();
  }

  #zoom(event) {
    event.preventDefault();
    const factor = Math.exp(-event.deltaY * 0.001);
    this.#bar = Math.max(BAR_MIN, Math.min(this.#bar * factor, BAR_MAX));
    this.draw();
  }

  #color(name) {
    return (this.#colors[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  }

  #paint() {
    const canvas = this.#canvas;
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = this.#context;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    context.textBaseline = "middle";
    const view = this.#view(width - AXIS_WIDTH, height - AXIS_HEIGHT);
    if (!view) {
      this.#legend.textContent = "";
      return;
    }
    this.#grid(view);
    this.#bars(view);
    this.#lastPrice(view);
    this.#cross(view);
  }

  /** What is visible, and the scales. */
  #view(width, height) {
    const count = this.#candles.length;
    if (!count) return null;
    const right = count - 1 - this.#offset + PAD_RIGHT_BARS;
    const x = (at) => width - (right - at + 0.5) * this.#bar;
    const from = Math.max(0, Math.floor(right - width / this.#bar));
    const to = Math.min(count - 1, Math.ceil(right));
    const visible = this.#candles.slice(from, to + 1);
    if (!visible.length) return null;
    let [low, high, volume] = [Infinity, -Infinity, 0];
    for (const candle of visible) {
      low = Math.min(low, candle.low);
      high = Math.max(high, candle.high);
      volume = Math.max(volume, candle.volume);
    }
    const room = Math.max((high - low) * 0.08, high * 0.00005);
    [low, high] = [low - room, high + room];
    const priceHeight = height * (1 - VOLUME_SHARE);
    const y = (price) => ((high - price) / (high - low)) * priceHeight;
    const price = (at) => high - (at / priceHeight) * (high - low);
    const depth = (amount) => (volume ? (amount / volume) * (height * VOLUME_SHARE - 6) : 0);
    return { width, height, priceHeight, x, y, price, depth, from, to, low, high, right };
  }

  #grid(view) {
    const context = this.#context;
    context.strokeStyle = this.#color("line");
    context.fillStyle = this.#color("faint");
    context.lineWidth = 1;
    context.beginPath();
    const step = niceStep((view.high - view.low) / Math.max(2, view.priceHeight / 56));
    context.textAlign = "left";
    for (let price = Math.ceil(view.low / step) * step; price < view.high; price += step) {
      const y = Math.round(view.y(price)) + 0.5;
      if (y < 8) continue;
      context.moveTo(0, y);
      context.lineTo(view.width, y);
      context.fillText(fixed(price, this.#digits), view.width + 8, y);
    }
    context.textAlign = "center";
    const every = niceBars(96 / this.#bar, this.#interval);
    for (let at = view.from; at <= view.to; at += 1) {
      const { time } = this.#candles[at];
      const local = time - new Date(time).getTimezoneOffset() * 60_000;
      if (local % every !== 0) continue;
      const x = Math.round(view.x(at)) + 0.5;
      if (x < 24 || x > view.width - 24) continue;
      context.moveTo(x, 0);
      context.lineTo(x, view.height);
      context.fillText(timeLabel(time, every), x, view.height + AXIS_HEIGHT / 2);
    }
    context.moveTo(0, view.height + 0.5);
    context.lineTo(view.width, view.height + 0.5);
    context.moveTo(view.width + 0.5, 0);
    context.lineTo(view.width + 0.5, view.height);
    context.stroke();
  }

  #bars(view) {
    const context = this.#context;
    context.save();
    context.beginPath();
    context.rect(0, 0, view.width, view.height);
    context.clip();
    const body = Math.max(1, Math.floor(this.#bar * 0.7));
    for (const rising of [true, false]) {
      const name = rising ? "up" : "down";
      const [color, tint] = [this.#color(name), this.#color(`${name}-bar`)];
      for (let at = view.from; at <= view.to; at += 1) {
        const candle = this.#candles[at];
        if (candle.close >= candle.open !== rising) continue;
        const x = view.x(at);
        const left = Math.round(x - body / 2);
        const tall = view.depth(candle.volume);
        context.fillStyle = tint;
        context.fillRect(left, view.height - tall, body, tall);
        context.fillStyle = color;
        const top = view.y(Math.max(candle.open, candle.close));
        const bottom = view.y(Math.min(candle.open, candle.close));
        context.fillRect(left, Math.round(top), body, Math.max(1, Math.round(bottom - top)));
        const wick = left + (body - 1) / 2;
        context.fillRect(wick, view.y(candle.high), 1, view.y(candle.low) - view.y(candle.high));
      }
    }
    context.restore();
  }

  #lastPrice(view) {
    const last = this.#candles.at(-1);
    const y = Math.round(view.y(last.close)) + 0.5;
    if (y < 0 || y > view.priceHeight) return;
    const color = this.#color(last.close >= last.open ? "up" : "down");
    this.#line(0, y, view.width, y, color, [2, 3]);
    this.#tag(view.width + 1, y, fixed(last.close, this.#digits), color, "#fff");
  }

  #cross(view) {
    const pointer = this.#pointer;
    const inside = pointer && pointer.x < view.width && pointer.y < view.height;
    const nearest = inside ? Math.round(view.right + 0.5 - (view.width - pointer.x) / this.#bar) : view.to;
    const at = Math.max(view.from, Math.min(nearest, this.#candles.length - 1));
    const candle = this.#candles[at];
    this.#read(candle);
    if (!inside) return;
    const soft = this.#color("faint");
    const x = Math.round(view.x(at)) + 0.5;
    this.#line(x, 0, x, view.height, soft, [3, 3]);
    this.#context.textAlign = "center";
    if (pointer.y < view.priceHeight) {
      const y = Math.round(pointer.y) + 0.5;
      this.#line(0, y, view.width, y, soft, [3, 3]);
      this.#tag(view.width + 1, y, fixed(view.price(y), this.#digits), this.#color("raised"), this.#color("text"));
    }
    const label = new Date(candle.time).toLocaleString("en-GB", { dateStyle: "short", timeStyle: "medium" });
    const context = this.#context;
    const half = context.measureText(label).width / 2 + 8;
    const centre = Math.max(half, Math.min(x, view.width - half));
    context.fillStyle = this.#color("raised");
    context.fillRect(centre - half, view.height + 1, 2 * half, AXIS_HEIGHT - 2);
    context.fillStyle = this.#color("text");
    context.textAlign = "center";
    context.fillText(label, centre, view.height + AXIS_HEIGHT / 2);
  }

  #read(candle) {
    const change = ((candle.close - candle.open) / candle.open) * 100;
    const digits = this.#digits;
    const parts = [["O", candle.open], ["H", candle.high], ["L", candle.low], ["C", candle.close]];
    const nodes = parts.map(([name, value]) => `${name}\u00a0${fixed(value, digits)}`);
    this.#legend.textContent = `${nodes.join("   ")}   ${percent(change)}   V\u00a0${compact(candle.volume)}`;
    this.#legend.className = `legend ${direction(change)}`;
  }

  #line(x, y, toX, toY, color, dash) {
    const context = this.#context;
    context.save();
    context.setLineDash(dash);
    context.strokeStyle = color;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(toX, toY);
    context.stroke();
    context.restore();
  }

  #tag(x, y, text, background, color) {
    const context = this.#context;
    context.textAlign = "left";
    context.fillStyle = background;
    context.fillRect(x, y - 9, AXIS_WIDTH - 2, 18);
    context.fillStyle = color;
    context.fillText(text, x + 7, y);
  }
}

/** The smallest of 1, 2, 5, 10, 20, .. that is at least `least`. */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= least * 0.999);
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  ...[5, 10, 15, 30].map((n) => n * SECOND), ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 4, 6, 12].map((n) => n * HOUR), ...[1, 2, 5, 10, 20, 50, 100].map((n) => n * DAY),
];

/** Time between two labels that are at least `bars` candles apart. */
function niceBars(bars, interval) {
  return STEPS.find((step) => step >= bars * interval && step % interval === 0) ?? 100 * DAY;
}

function timeLabel(time, every) {
  const date = new Date(time);
  if (every >= DAY) return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const midnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
  if (midnight) return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const options = { hour: "2-digit", minute: "2-digit" };
  if (every < MINUTE) options.second = "2-digit";
  return date.toLocaleTimeString("en-GB", options);
}
