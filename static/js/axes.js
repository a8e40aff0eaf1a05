// The axes of a chart: local time, and units that people read.

import {format} from "./units.js";

const two = (number) => String(number).padStart(2, "0");
const DAY_S = 86_400;
const day = new Intl.DateTimeFormat(undefined, {day: "numeric", month: "short"});
const BINARY_STEPS = Array.from({length: 50}, (_, power) => 2 ** power);

export function clock(seconds) {
  const at = new Date(seconds * 1000);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
}

/** A moment on a chart whose values stand for `step` seconds each. */
export function moment(seconds, step) {
  return step < 600 ? clock(seconds) : `${day.format(new Date(seconds * 1000))} ${clock(seconds).slice(0, 5)}`;
}

export function timeLabels(u, splits, axis, space, step) {
  let before = null;
  return splits.map((seconds) => {
    const at = new Date(seconds * 1000);
    if (step >= DAY_S) return day.format(at);
    const label = step < 60 ? clock(seconds) : clock(seconds).slice(0, 5);
    const date = at.toDateString();
    const isNewDay = before !== null && date !== before;
    before = date;
    return isNewDay ? `${label}\n${day.format(at)}` : label;
  });
}

/** A day's border needs a second line. */
export const timeHeight = (u, values) => (values?.some((label) => label?.includes("\n")) ? 38 : 24);

/** Steps of an axis are round: "5" beside "10", not "5.0". */
export const valueLabels = (unit) => (u, splits) =>
  splits.map((value) => format(Math.abs(value), unit).replace(/\.0(?!\d)/, ""));

export function valueSteps(unit) {
  if (unit === "By") return BINARY_STEPS;
  if (unit.startsWith("{") && unit !== "{thread}") return [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000];
  return undefined;
}

/** Where a chart's value axis begins and ends. */
export function valueRange(chart, data, lines) {
  let [low, high] = [0, 0];
  for (const line of lines) {
    if (!line.shown) continue;
    for (const value of line.low) if (value < low) low = value;
    for (const value of line.high) if (value > high) high = value;
  }
  if (chart.unit === "Cel") return warmth(lines);
  if (chart.top) return [0, Math.max(chart.top, high)];
  if (chart.ceiling.length) {
    const top = chart.ceiling.reduce((sum, place) => sum + (newest(data.series[place].avg) ?? 0), 0);
    return [0, Math.max(top, high)];
  }
  if (chart.shape === "mirror") {
    // Even an idle line keeps its zero in sight of both sides.
    const least = Math.max(high, -low, 1000) * 0.12;
    return [Math.min(low * 1.1, -least), Math.max(high * 1.1, least)];
  }
  return [0, Math.max(high * 1.1, chart.least ?? 0) || 1];
}

function warmth(lines) {
  const values = lines.filter((line) => line.shown).flatMap(({low, high}) => [...low, ...high]);
  const known = values.filter((value) => value != null);
  if (!known.length) return [20, 80];
  const [low, high] = known.reduce(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Infinity, -Infinity],
  );
  return [Math.floor((low - 4) / 5) * 5, Math.ceil((high + 4) / 5) * 5];
}

function newest(values) {
  for (let at = values.length - 1; at >= 0; at -= 1) if (values[at] != null) return values[at];
  return null;
}
