// Numbers as people read them. `hub/web/templatetags/units.py` says the same;
// `hub/web/tests/units.json` holds both to one table.

const NOTHING = ["–", ""];
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"];
const WORDS = {
  good: ["no", "yes"],
  bad: ["yes", "no"],
  failed: ["well again", "failed"],
  container: [
    "running", "paused", "restarting", "created",
    "exited", "being removed", "dead", "unknown",
  ],
};
const JUST_NOW_S = 10;
const NBSP = "\u00a0";

const missing = (value) => value == null || !Number.isFinite(value);
const whole = (value) => String(Math.floor(value + 0.5));

function short(value) {
  const sign = value <= -0.05 ? "\u2212" : "";
  const size = Math.abs(value);
  const tenths = Math.floor(size * 10 + 0.5);
  if (tenths >= 100 || tenths === 0) return sign + whole(size);
  return `${sign}${Math.floor(tenths / 10)}.${tenths % 10}`;
}

function scaled(value, step, names) {
  if (missing(value)) return NOTHING;
  const limit = step === 1024 ? 1023.5 : 999.5;
  let power = 0;
  while (Math.abs(value) >= limit && power + 1 < names.length) {
    value /= step;
    power += 1;
  }
  return [power === 0 ? whole(value) : short(value), names[power]];
}

export const join = ([number, unit]) => (unit ? number + NBSP + unit : number);

export const percentParts = (ratio) =>
  missing(ratio) ? NOTHING : [short(ratio * 100), "%"];

export const bytesParts = (size) => scaled(size, 1024, BINARY);

export const rateParts = (perSecond) => scaled(perSecond, 1000, DECIMAL);

export const numberParts = (value, unit = "") =>
  missing(value) ? NOTHING : [short(value), unit];

export const countParts = (value) =>
  missing(value)
    ? NOTHING
    : [whole(value).replace(/\B(?=(\d{3})+$)/g, ","), ""];

export function durationParts(seconds) {
  if (missing(seconds)) return NOTHING;
  if (seconds > 0 && seconds < 1) return [short(seconds * 1000), "ms"];
  const total = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(total / 60);
  const hours = Math.floor(total / 3600);
  const days = Math.floor(total / 86400);
  const two = (first, unit, rest, restUnit) =>
    rest
      ? [`${first}${NBSP}${unit}${NBSP}${rest}`, restUnit]
      : [String(first), unit];
  if (days) return two(days, "d", hours % 24, "h");
  if (hours) return two(hours, "h", minutes % 60, "min");
  return minutes ? [String(minutes), "min"] : [String(total), "s"];
}

function word(value, unit) {
  const words = WORDS[unit];
  return words[Math.min(Math.max(Math.ceil(value), 0), words.length - 1)];
}

export function parts(value, unit) {
  if (unit === "1") return percentParts(value);
  if (unit === "By") return bytesParts(value);
  if (unit === "By/s") return rateParts(value);
  if (unit === "s") return durationParts(value);
  if (unit in WORDS) return missing(value) ? NOTHING : [word(value, unit), ""];
  if (unit === "core") return percentParts(value); // 1 = one core, as top says it
  if (unit === "Cel") return numberParts(value, "°C");
  if (unit.endsWith("}/s")) return numberParts(value, "/s");
  if (unit === "{thread}") return numberParts(value); // a load average
  if (unit.startsWith("{")) return countParts(value);
  return numberParts(value, unit);
}

export const format = (value, unit) => join(parts(value, unit));

export function ago(ageS) {
  if (missing(ageS)) return "never";
  const total = Math.floor(ageS);
  if (total < JUST_NOW_S) return "just now";
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (total >= length) return `${Math.floor(total / length)}${NBSP}${unit}${NBSP}ago`;
  }
  return `${total}${NBSP}s${NBSP}ago`;
}
