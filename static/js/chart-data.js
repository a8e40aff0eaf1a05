// The points of a machine's charts: unpacked from what `hub/web/points.py`
// packs, then extended by live samples. A gap is a row of nulls.

// Two missed ticks are a gap; one late tick is not.
const GAP_STEPS = 2.5;
// The hub calls nothing shorter a gap.
const LEAST_GAP_S = 15;
// How long samples that are not stored stay on a chart. Then its line has the step
// of what is stored, however long somebody watches.
export const GLANCES_S = 120;

export const seriesKey = (metric, attributes) =>
  JSON.stringify([metric, Object.entries(attributes).sort()]);

export class ChartData {
  constructor(buffer) {
    const length = new DataView(buffer).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    Object.assign(this, head);
    this.stepS = head.step;
    this.spanS = (head.to - head.from) / 1000;
    let at = 4 + length;
    this.times = Array.from(new Float64Array(buffer, at, head.points), (ms) => ms / 1000);
    at += head.points * 8;
    const next = () => {
      const values = new Float32Array(buffer, at, head.points);
      at += head.points * 4;
      return Array.from(values, (value) => (value === value ? value : null));
    };
    this.series = head.series.map(({metric, attributes}) => {
      const avg = next();
      const [min, max] = head.folded ? [next(), next()] : [avg, avg];
      return {key: seriesKey(metric, attributes), avg, min, max};
    });
    this.keys = new Set(this.series.map(({key}) => key));
    // Times of points that are not stored, ascending.
    this.glances = new Set();
  }

  /** Whether a sample of this time would come after a gap. */
  isGap(timeMs) {
    const newest = this.times.at(-1);
    return newest !== undefined && timeMs / 1000 - newest > Math.max(this.stepS * GAP_STEPS, LEAST_GAP_S);
  }

  /** Add a live sample; false when it is not newer than what is there. */
  append(timeMs, valueOf, intervalS) {
    const taken = timeMs / 1000;
    const time = this.folded ? Math.floor(taken / this.stepS) * this.stepS : taken;
    const newest = this.#stored();
    if (this.folded && time === newest) return this.#fold(taken - time, valueOf, intervalS);
    if (newest !== undefined && time <= newest) return false;
    const last = this.times.at(-1);
    if (last !== undefined && time - last > this.stepS * GAP_STEPS) {
      this.#push(last + this.stepS, () => null);
    }
    this.#insert(time, valueOf);
    return true;
  }

  /** Add a sample that will not be stored; false when it shows nothing new. */
  glance(timeMs, valueOf) {
    const time = timeMs / 1000;
    const newest = this.times.at(-1);
    // A bucket is a minute or more: a second does not move it.
    if (this.folded || newest === undefined || time <= newest) return false;
    this.#push(time, valueOf);
    this.glances.add(time);
    this.#forget(time - GLANCES_S);
    return true;
  }

  isGlance(at) {
    return this.glances.has(this.times[at]);
  }

  /** The time of the newest point that is stored. */
  #stored() {
    let at = this.times.length - 1;
    while (at >= 0 && this.isGlance(at)) at -= 1;
    return this.times[at];
  }

  /** Let the oldest glances go. */
  #forget(beforeS) {
    for (const time of this.glances) {
      if (time >= beforeS) return;
      this.glances.delete(time);
      const at = this.times.indexOf(time);
      if (at >= 0) for (const values of this.#columns()) values.splice(at, 1);
    }
  }

  /** Put a sample into the bucket that is still open. How many are in it already
   * is known from its age; the next fetch brings what the hub counted. */
  #fold(age, valueOf, intervalS) {
    const count = Math.max(1, Math.round(age / intervalS));
    const at = this.times.length - 1;
    for (const {key, avg, min, max} of this.series) {
      const value = valueOf(key);
      if (value == null) continue;
      avg[at] = avg[at] == null ? value : avg[at] + (value - avg[at]) / (count + 1);
      min[at] = Math.min(min[at] ?? value, value);
      max[at] = Math.max(max[at] ?? value, value);
    }
    return true;
  }

  /** Forget what has left the window. */
  trim(fromS) {
    let count = 0;
    while (count < this.times.length && this.times[count] < fromS) count += 1;
    // One point beyond the edge keeps the line running into it.
    count -= 1;
    if (count <= 0) return;
    for (const values of this.#columns()) values.splice(0, count);
    for (const time of this.glances) if (time < this.times[0]) this.glances.delete(time);
  }

  #push(time, valueOf) {
    this.#put(this.times.length, 0, time, valueOf);
  }

  /** A stored point may be older than the newest glances. */
  #insert(time, valueOf) {
    let at = this.times.length;
    while (at > 0 && this.times[at - 1] > time) at -= 1;
    const isThere = this.times[at - 1] === time;
    this.glances.delete(time);
    this.#put(isThere ? at - 1 : at, isThere ? 1 : 0, time, valueOf);
  }

  #put(at, instead, time, valueOf) {
    this.times.splice(at, instead, time);
    for (const {key, avg, min, max} of this.series) {
      const value = valueOf(key) ?? null;
      avg.splice(at, instead, value);
      if (min !== avg) {
        min.splice(at, instead, value);
        max.splice(at, instead, value);
      }
    }
  }

  *#columns() {
    yield this.times;
    for (const {avg, min, max} of this.series) {
      yield avg;
      if (min !== avg) yield* [min, max];
    }
  }
}
