// What is marked on a chart beside its lines: stretches of time whose samples came
// late, gaps and why they are there, alerts, thresholds.

import {clock} from "./axes.js";
import {faint} from "./colours.js";
import {durationParts, format, join} from "./units.js";

// In CSS pixels. The strip lies between the axis and its labels.
const STRIP = 3;
const HATCH = 4;
const ROOM_FOR_WORDS = 54;
const SHADE = 0.1;

// Kinds of stretches, in the words of the page. Each is drawn in its own way.
export const WORDS = {
  late: "came late",
  "no agent": "no agent",
  "hub away": "hub away",
};
const SHAPES = {warning: "▲", critical: "◆"};

/** The stretches as they are now: the last gap ends with the sample after it. */
export function current({stretches = [], to, times}, nowS) {
  return stretches.map(({kind, from, to: end, ...rest}) => {
    const open = kind !== "late" && end >= to;
    const after = open ? times.find((time) => time > from / 1000) : undefined;
    return {kind, ...rest, from: from / 1000, to: open ? (after ?? nowS) : end / 1000};
  });
}

/** Under the lines: where an alert was open. */
export function shade(plot, alerts, colours, nowS) {
  const {ctx, bbox} = plot;
  for (const {from, to, severity} of alerts) {
    const [left, right] = clipped(plot, from / 1000, to == null ? nowS : to / 1000);
    if (right <= left) continue;
    ctx.fillStyle = faint(colours[severity], SHADE);
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.fillStyle = colours[severity];
    ctx.fillRect(left, bbox.top, right - left, 2 * uPlot.pxRatio);
  }
}

/** Over the lines: the strip of late samples and gaps, and the thresholds. */
export function mark(plot, {stretches, thresholds, unit}, colours, font) {
  const {ctx} = plot;
  ctx.save();
  for (const stretch of stretches) strip(plot, stretch, colours, font);
  // The upper one is labelled above its line, the lower below: they never meet.
  const top = Math.max(...thresholds.map(({value}) => value));
  for (const threshold of thresholds) line(plot, threshold, threshold.value === top, unit, colours, font);
  ctx.restore();
}

function strip(plot, {kind, from, to}, colours, font) {
  const {ctx, bbox} = plot;
  const ratio = uPlot.pxRatio;
  const [left, right] = clipped(plot, from, to);
  if (right - left < 1) return;
  const top = bbox.top + bbox.height + ratio;
  const height = STRIP * ratio;
  ctx.fillStyle = ctx.strokeStyle = colours.muted;
  if (kind === "late") {
    hatch(ctx, left, top, right, height, ratio);
  } else if (kind === "hub away") {
    for (let x = left; x < right; x += 2 * height) ctx.fillRect(x, top, Math.min(height, right - x), height);
  } else {
    ctx.fillRect(left, top, right - left, height);
  }
  if (kind === "late" || right - left < ROOM_FOR_WORDS * ratio) return;
  ctx.font = `${11 * ratio}px ${font}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "bottom";
  ctx.fillText(WORDS[kind], (left + right) / 2, bbox.top + bbox.height - 5 * ratio);
}

function hatch(ctx, left, top, right, height, ratio) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, right - left, height);
  ctx.clip();
  ctx.lineWidth = ratio;
  ctx.beginPath();
  for (let x = left - height; x < right + height; x += HATCH * ratio) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(x + height, top);
  }
  ctx.stroke();
  ctx.restore();
}

function line(plot, {value, severity}, above, unit, colours, font) {
  const {ctx, bbox} = plot;
  const ratio = uPlot.pxRatio;
  const {min, max} = plot.scales.y;
  if (value < min || value > max) return;
  const y = Math.round(plot.valToPos(value, "y", true)) + 0.5;
  ctx.strokeStyle = ctx.fillStyle = colours[severity];
  ctx.lineWidth = ratio;
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.font = `${10 * ratio}px ${font}`;
  ctx.textAlign = "left";
  ctx.textBaseline = above ? "bottom" : "top";
  const text = `${SHAPES[severity]} ${format(value, unit)}`;
  ctx.fillText(text, bbox.left + 4 * ratio, y + (above ? -2 : 2) * ratio);
}

function clipped({bbox, valToPos}, from, to) {
  const end = bbox.left + bbox.width;
  const place = (time) => Math.min(Math.max(valToPos(time, "x", true), bbox.left), end);
  return [place(from), place(to)];
}

/** What is to be said of a moment: of alerts first, then of stretches. */
export function said(time, stretches, alerts, nowS) {
  const alert = alerts.find(({from, to}) => time >= from / 1000 && time <= (to == null ? nowS : to / 1000));
  if (alert) return `${SHAPES[alert.severity]} ${alert.rule}`;
  const found = stretches.find(({from, to}) => time >= from && time <= to);
  if (!found) return "";
  const {kind, from, to} = found;
  return `${WORDS[kind]} ${clock(from).slice(0, 5)}–${clock(to).slice(0, 5)}, ${join(durationParts(to - from))}`;
}

/** The legend of the strips: only of what there is to see. */
export function showKey(element, stretches, [min, max]) {
  const kinds = Object.keys(WORDS).filter((kind) =>
    stretches.some((one) => one.kind === kind && one.to >= min && one.from <= max),
  );
  const text = kinds.join("|");
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(
    ...kinds.map((kind) => {
      const item = document.createElement("span");
      const swatch = document.createElement("i");
      swatch.className = kind.replace(" ", "-");
      item.title = HELP[kind];
      item.append(swatch, WORDS[kind]);
      return item;
    }),
  );
}

const HELP = {
  late: "Samples that the agent kept while it could not reach the hub, and sent later.",
  "no agent": "The hub was there, but this machine’s agent sent nothing.",
  "hub away": "The hub could store nothing. What agents kept comes as soon as it can.",
};
