// What every page does.

import "./dialogs.js";
import "./failures.js";
import "./keyboard.js";
import "./turns.js";

const clock = new Intl.DateTimeFormat(undefined, {timeStyle: "short"});
const moment = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "medium"});

/** The hub does not know the reader's clock: "3 min ago" becomes "14:03" here. */
function localize(element) {
  for (const time of element.querySelectorAll("time[data-clock]")) {
    time.textContent = clock.format(new Date(time.dateTime));
  }
  for (const time of element.querySelectorAll("time[data-moment]")) {
    time.textContent = moment.format(new Date(time.dateTime));
  }
  for (const time of element.querySelectorAll('time[title]:not([datetime=""])')) {
    time.title = moment.format(new Date(time.dateTime));
  }
}

localize(document);
document.addEventListener("htmx:load", ({target}) => localize(target));
document.addEventListener("htmx:afterSwap", ({target}) => localize(target));
