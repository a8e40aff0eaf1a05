// Sorting and filtering: the same orders as `hub/web/rows.py`.

import {facts} from "./facts.js";

const numbers = {
  cpu: ({summary}) => summary?.cpu,
  memory: ({summary}) => summary?.memory,
  disk: ({summary}) => summary?.disk,
  network: ({summary}) =>
    summary?.rx == null && summary?.tx == null ? null : (summary.rx ?? 0) + (summary.tx ?? 0),
  load: ({summary}) => (summary?.load1 == null ? null : summary.load1 / (summary.cores || 1)),
  seen: ({seen}) => seen,
};

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

function byName(a, b) {
  return (
    compare(a.machine.title.toLowerCase(), b.machine.title.toLowerCase()) || compare(a.id, b.id)
  );
}

/** Return the rows in the order of ?sort=; rows without a machine keep their end. */
export function sorted(rows, sort) {
  const turned = sort.startsWith("-");
  const name = turned ? sort.slice(1) : sort;
  const known = rows.filter((row) => row.machine).sort(byName);
  const rest = rows.filter((row) => !row.machine);
  if (name === "name") return [...(turned ? known.reverse() : known), ...rest];
  if (!(name in numbers)) {
    const place = ({element}) => facts.states.indexOf(element.dataset.state);
    const sign = turned ? -1 : 1;
    return [...known.sort((a, b) => sign * (place(a) - place(b))), ...rest];
  }
  const value = numbers[name];
  const sign = turned ? 1 : -1;
  const full = known.filter((row) => value(row.machine) != null);
  const empty = known.filter((row) => value(row.machine) == null);
  full.sort((a, b) => sign * (value(a.machine) - value(b.machine)));
  return [...full, ...empty, ...rest];
}

export const hasTag = (row, tag) =>
  !tag || row.element.children[1].children[2].textContent.split(" ").includes(tag);

export function matches(row, query, tag) {
  if (!hasTag(row, tag)) return false;
  const [name, , tags] = row.element.children[1].children;
  const state = facts.words[row.element.dataset.state];
  const text = `${name.textContent} ${row.id} ${state} ${tags.textContent}`.toLowerCase();
  return query.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
