// The thin bar that says that live updates stopped, and since when.

// A page that has just been opened, or a blink of the network, is no news.
const PATIENCE_MS = 1500;

const hour = new Intl.DateTimeFormat(undefined, {timeStyle: "medium"});

export class Link {
  constructor(element) {
    this.element = element;
    this.since = Date.now();
    this.timer = null;
  }

  show(status) {
    clearTimeout(this.timer);
    if (status === "connected") return this.#clear();
    if (status === "late") return this.#pause();
    if (!this.lost) this.lost = Date.now();
    if (status === "connecting") {
      this.timer = setTimeout(() => this.#say(this.#words(status)), PATIENCE_MS);
    } else {
      this.#say(this.#words(status));
    }
  }

  #clear() {
    if (this.paused || this.lost) this.#look();
    this.paused = false;
    this.lost = 0;
    this.element.hidden = true;
    document.documentElement.classList.remove("link-down");
  }

  /** The line is fine, but the hub hears nothing: its own bar says why. */
  #pause() {
    this.#clear();
    this.paused = true;
    document.documentElement.classList.add("link-down");
    this.#look();
  }

  #look() {
    document.getElementById("hub-bar")?.dispatchEvent(new Event("look"));
  }

  #words(status) {
    const when = hour.format(this.lost);
    return {
      connecting: [`Live updates stopped at ${when}. Trying again; the numbers are from then.`],
      "signed-out": ["You are signed out.", ["Sign in again", location.href]],
      "not-found": ["This machine was removed from the hub.", ["All machines", "/"]],
    }[status];
  }

  #say([words, link]) {
    this.element.textContent = words;
    if (link) {
      const anchor = document.createElement("a");
      [anchor.textContent, anchor.href] = link;
      this.element.append(anchor);
    }
    this.element.hidden = false;
    document.documentElement.classList.add("link-down");
  }
}
