// Is a machine there, and is it well? The same judgement as the hub's
// `machines/presence.py`, `web/alarms.py` and `web/levels.py`, from the same numbers.

export function presence({seen: seenMs, interval: intervalS, left}, nowMs, limits) {
  if (left != null && left >= (seenMs ?? 0)) return "stopped";
  if (seenMs == null) return "never";
  const ageS = (nowMs - seenMs) / 1000;
  const {onlineIntervals, onlineFloorS, staleIntervals, staleFloorS} = limits;
  if (ageS <= Math.max(onlineIntervals * intervalS, onlineFloorS)) return "online";
  if (ageS <= Math.max(staleIntervals * intervalS, staleFloorS)) return "stale";
  return "offline";
}

export function level(name, value, levels) {
  if (value == null) return "";
  const [warning, critical] = levels[name];
  if (critical != null && value >= critical) return "critical";
  return value >= warning ? "warning" : "";
}

/** The worst of presence and open alerts, as one of facts.states. Without a rule the
 * fixed levels stand in for alerts. */
export function stateOf(machine, nowMs, {levels, lasting, states, presence: limits}, alarms) {
  const there = presence(machine, nowMs, limits);
  const found = [there];
  if (alarms.ruled) {
    found.push(alarms.machines[machine.id]?.state);
  } else if (there !== "stopped") {
    for (const name of lasting) found.push(level(name, machine.summary?.[name], levels));
  }
  return states.find((state) => found.includes(state));
}

/** The level of one number of a machine's row. */
export function cellLevel(name, machine, levels, alarms) {
  if (alarms.ruled) return alarms.machines[machine.id]?.cells[name] ?? "";
  return level(name, machine.summary[name], levels);
}
