// The small CPU lines. Asked for when their row comes into sight, a few rows at
// a time, then extended by what arrives live.

import {facts} from "./facts.js";

const GATHER_MS = 60;
const WIDTH = 60;
const HEIGHT = 20;

export class Sparklines {
  constructor(address) {
    this.address = address;
    this.wanted = new Map();
    this.timer = 0;
    this.stepMs = 60_000;
    this.onLoad = () => {};
  }

  want(row) {
    if (row.spark || this.wanted.has(row.id)) return;
    this.wanted.set(row.id, row);
    this.timer ||= setTimeout(() => this.#load(), GATHER_MS);
  }

  /** Fold a live value into the last bucket. */
  extend(row) {
    const {time, summary} = row.machine;
    const cpu = summary?.cpu;
    if (!row.spark || cpu == null || time <= row.spark.newest) return;
    const bucket = Math.floor(time / this.stepMs);
    row.spark.newest = time;
    const last = row.spark.points.at(-1);
    if (last?.bucket === bucket) {
      last.sum += cpu;
      last.count += 1;
    } else {
      row.spark.points.push({bucket, sum: cpu, count: 1});
      if (row.spark.points.length > WIDTH + 1) row.spark.points.shift();
    }
    row.spark.drawn = false;
  }

  draw(row) {
    if (!row.spark || row.spark.drawn) return;
    row.spark.drawn = true;
    row.cells.path.setAttribute("d", line(row.spark.points));
  }

  async #load() {
    this.timer = 0;
    const rows = [...this.wanted.values()].slice(0, facts.linesAtOnce);
    for (const row of rows) this.wanted.delete(row.id);
    const query = new URLSearchParams(rows.map((row) => ["id", row.id]));
    try {
      const answer = await fetch(`${this.address}?${query}`);
      if (answer.ok) this.#take(rows, await answer.json());
    } catch {
      // The hub is away. The bar says so; a row that comes into sight asks again.
    }
    if (this.wanted.size) this.timer ||= setTimeout(() => this.#load(), GATHER_MS);
  }

  #take(rows, {step, lines}) {
    this.stepMs = step * 1000;
    for (const row of rows) {
      const points = (lines[row.id] ?? []).map(([bucket, value]) => ({
        bucket,
        sum: value,
        count: 1,
      }));
      row.spark = {points, newest: row.machine?.time ?? 0, drawn: false};
      if (row.near) this.draw(row);
    }
  }
}

/** A path over the last WIDTH buckets; a missing bucket breaks it. */
function line(points) {
  const end = points.at(-1)?.bucket;
  let path = "";
  let before = null;
  for (const {bucket, sum, count} of points) {
    const x = WIDTH - (end - bucket);
    if (x < 0) continue;
    const y = HEIGHT - 1 - Math.min(sum / count, 1) * (HEIGHT - 2);
    path += `${bucket - 1 === before ? "L" : "M"}${x} ${y.toFixed(1)}`;
    before = bucket;
  }
  return path;
}
