// The days and hours below the charts of a back-test, by the reader's clock.

import {timeLabels} from "./axes.js";

const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86_400;
const STEPS_S = [10 * MINUTE_S, 30 * MINUTE_S, HOUR_S, 2 * HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S, DAY_S, 2 * DAY_S, 4 * DAY_S];
// Of a label as "30 Sep" or "12:00", with room around it.
const LABEL_PX = 56;

/** Moments from one to another that are whole by the local clock. */
function splits(start, end, step) {
  const at = new Date(start * 1000);
  at.setHours(0, 0, 0, 0);
  const found = [];
  while (at.getTime() / 1000 <= end) {
    if (at.getTime() / 1000 >= start) found.push(at.getTime() / 1000);
    // By the calendar: a day may have 23 hours, or 25.
    if (step >= DAY_S) at.setDate(at.getDate() + step / DAY_S);
    else at.setMinutes(at.getMinutes() + step / MINUTE_S);
  }
  return found;
}

function draw(axis) {
  const [start, end] = [Number(axis.dataset.startMs) / 1000, Number(axis.dataset.endMs) / 1000];
  const most = Math.max(1, axis.clientWidth / LABEL_PX);
  const step = STEPS_S.find((one) => (end - start) / one <= most) ?? STEPS_S.at(-1);
  const moments = splits(start, end, step);
  const labels = timeLabels(null, moments, 0, 0, step);
  axis.replaceChildren(
    ...moments.map((moment, place) => {
      const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      const share = (moment - start) / (end - start);
      text.setAttribute("x", `${100 * share}%`);
      text.setAttribute("y", "1em");
      // What stands at an edge does not reach over it.
      const width = axis.clientWidth;
      if (share * width < LABEL_PX / 2) text.setAttribute("text-anchor", "start");
      if ((1 - share) * width < LABEL_PX / 2) text.setAttribute("text-anchor", "end");
      [text.textContent] = labels[place].split("\n").slice(-1);
      return text;
    }),
  );
}

const watcher = new ResizeObserver((changes) => changes.forEach(({target}) => draw(target)));

document.addEventListener("htmx:afterSwap", ({target}) => {
  watcher.disconnect();
  for (const axis of target.querySelectorAll("svg.times")) watcher.observe(axis);
});
