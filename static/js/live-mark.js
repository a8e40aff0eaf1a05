// The small mark that says that samples come more often than they are stored.

import {write} from "./cells.js";

// A lost second is no news.
const LATE_MS = 4000;

export class LiveMark {
  constructor(element) {
    this.element = element;
    this.before = null;
  }

  /** A sample came that was taken then. */
  note(timeMs) {
    if (!this.element) return;
    const every = this.before && Math.round((timeMs - this.before) / 1000);
    this.before = timeMs;
    if (every >= 1 && every <= 60) write(this.element.querySelector(".n"), String(every));
    this.element.hidden = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#end(), LATE_MS);
  }

  #end() {
    this.element.hidden = true;
    this.before = null;
  }
}
