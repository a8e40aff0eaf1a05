// A chart's description and data become what is drawn: one entry for each line,
// with the numbers as its legend tells them (`told`) and as they lie on the
// canvas (`drawn`, `low`, `high`), which differ where lines are stacked, hang
// downward, or are many cores told as three.

/** Return the lines of a chart; `hidden` is a set of labels. */
export function lines(chart, data, hidden) {
  const series = (place) => data.series[place];
  if (chart.shape === "spread") return spread(chart, data, hidden);
  const found = chart.lines.map(({label, series: place, colour, down}, order) => {
    const {avg, min, max} = series(place);
    return {
      label,
      colour: colour ?? order,
      down: Boolean(down),
      shown: !hidden.has(label),
      told: {avg, min, max},
      drawn: down ? negated(avg) : avg,
      low: down ? negated(max) : min,
      high: down ? negated(min) : max,
    };
  });
  if (chart.shape === "stack") stack(found);
  if (chart.mark) found.push(mark(chart.mark, series(chart.mark.series), hidden));
  return found;
}

function mark({label, unit}, {avg, min, max}, hidden) {
  return {
    label,
    unit,
    isMark: true,
    shown: !hidden.has(label),
    told: {avg, min, max},
    drawn: avg,
    low: avg,
    high: avg,
  };
}

function stack(found) {
  let below = null;
  for (const line of found) {
    if (!line.shown) continue;
    line.drawn = below ? line.told.avg.map((value, at) => plus(value, below[at])) : line.told.avg;
    line.low = line.high = line.drawn;
    below = line.drawn;
  }
}

/** Many cores: the busiest, the mean and the idlest at each moment. */
function spread(chart, data, hidden) {
  const columns = chart.lines.map(({series}) => data.series[series]);
  const over = (fold, which) =>
    data.times.map((_, at) => {
      const values = columns.map((column) => column[which][at]).filter((value) => value != null);
      return values.length ? fold(values) : null;
    });
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const busiest = over((values) => Math.max(...values), "max");
  const idlest = over((values) => Math.min(...values), "min");
  const average = over(mean, "avg");
  const line = (label, colour, values, more) => ({
    label,
    colour,
    shown: !hidden.has(label),
    told: {avg: values, min: values, max: values},
    drawn: values,
    low: values,
    high: values,
    ...more,
  });
  return [
    line("busiest core", 1, busiest),
    line(`mean of ${columns.length}`, 0, average, {low: idlest, high: busiest, banded: true}),
    line("idlest core", 2, idlest),
  ];
}

const negated = (values) => values.map((value) => (value == null ? null : -value));

const plus = (value, below) => (value == null && below == null ? null : (value ?? 0) + (below ?? 0));

/** Least, mean and greatest of what the chart shows of a line. What is not stored
 * counts for no mean: there is more of it at the end than before. */
export function extent({told}, from, to, isGlance) {
  let [least, greatest, sum, count] = [Infinity, -Infinity, 0, 0];
  for (let at = from; at <= to; at += 1) {
    const value = told.avg[at];
    if (value == null) continue;
    least = Math.min(least, told.min[at]);
    greatest = Math.max(greatest, told.max[at]);
    if (isGlance(at)) continue;
    sum += value;
    count += 1;
  }
  return count ? {min: least, avg: sum / count, max: greatest} : {min: null, avg: null, max: null};
}
