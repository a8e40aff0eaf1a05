/*
 * The live line from the hub to this page.
 *
 *   import {connect} from "./live.js";
 *
 *   const line = connect({
 *     view: "summary",            // or "full" (layouts and complete vectors)
 *     machines: ["web-1"],        // optional: only these machine_ids
 *     onSnapshot({at, machines, layouts}) {},  // everything; replaces all
 *     onChanges({at, machines, layouts, gone}) {},  // complete new states of some
 *     onStatus(status) {},        // see below; called only when it changes
 *   });
 *   line.now()                    // the hub's clock, in ms (for true ages)
 *   line.status                   // the latest status
 *   line.hears                    // would it have been said, had a machine spoken?
 *   line.rest()                   // while nobody sees the page; it comes back by itself
 *   line.close()                  // for good
 *
 * machines: [{id, title, time, seen, interval, summary}], and in the full view
 * also layout (an id) and values (aligned to layouts[layout]). time is when the
 * sample was taken, seen when the hub received it; both ms, null when there is
 * none. layouts: {"<id>": [{metric, unit, attributes}]}: snapshots bring all
 * that is needed, changes only new ones (keep what you have). gone: machine_ids.
 *
 * Statuses: "connecting" (what is shown is getting old), "connected", "late"
 * (the line is fine, but the hub itself hears nothing just now), "signed-out"
 * (sign in again; no more attempts) and "not-found" (a machine that was asked
 * for is not there; no more attempts).
 *
 * A new snapshot comes after every reconnect. Each frame is acknowledged when
 * its callback has returned, so a slow page is sent less, never something old.
 */

const SILENCE_MS = 15_000; // the hub speaks at least every 10 s
const HEARS_MS = 10_500;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const SIGNED_OUT = 4401;
const NOT_FOUND = 4404;
const OFFSETS_KEPT = 20;

export function connect(options) {
  const line = new Line(options);
  line.open();
  return {
    now: () => line.now(),
    close: () => line.close(),
    rest: () => line.rest(),
    get status() {
      return line.status;
    },
    get hears() {
      return line.status === "connected" && Date.now() - line.heard < HEARS_MS;
    },
  };
}

class Line {
  constructor({view = "summary", machines = [], path = "/ws", ...callbacks}) {
    this.url = address(path, view, machines);
    this.callbacks = callbacks;
    this.status = "";
    this.socket = null;
    this.attempts = 0;
    this.offsets = [];
    this.ended = false;
    this.hurry = () => document.hidden || this.retryNow();
    addEventListener("online", this.hurry);
    document.addEventListener("visibilitychange", this.hurry);
    // A page that comes out of the back/forward cache has a dead socket.
    addEventListener("pageshow", this.hurry);
  }

  open() {
    clearTimeout(this.retry);
    this.tell("connecting");
    const socket = new WebSocket(this.url);
    let opened = false;
    this.socket = socket;
    this.watch(socket);
    socket.onopen = () => {
      opened = true;
    };
    socket.onmessage = ({data}) => {
      if (socket === this.socket) this.hear(socket, JSON.parse(data));
    };
    socket.onclose = ({code}) => {
      if (socket === this.socket) this.lost(code, opened);
    };
  }

  hear(socket, frame) {
    this.watch(socket);
    this.attempts = 0;
    this.keepOffset(frame.at - Date.now());
    try {
      const {onSnapshot, onChanges} = this.callbacks;
      if (frame.type === "snapshot") onSnapshot?.({layouts: {}, ...frame});
      else onChanges?.({layouts: {}, gone: [], ...frame});
    } catch (error) {
      reportError(error); // one bad drawing must not cut the line
    }
    this.tell(frame.bus === "down" ? "late" : "connected");
    if (socket.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify({type: "ack", n: frame.n}));
    }
  }

  lost(code, opened) {
    this.drop();
    if (this.ended) return;
    if (code === SIGNED_OUT) return this.end("signed-out");
    if (code === NOT_FOUND) return this.end("not-found");
    this.tell("connecting");
    this.later();
    // A refused handshake does not say why: ask for the page itself, which
    // leads to the sign-in when the session is over.
    if (!opened) this.askWhetherSignedOut();
  }

  async askWhetherSignedOut() {
    try {
      const answer = await fetch(location.href, {method: "HEAD", redirect: "manual"});
      if (answer.type === "opaqueredirect" && !this.ended) this.end("signed-out");
    } catch {
      // The hub is away; the next attempt is on its way.
    }
  }

  later() {
    const ceiling = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.attempts++);
    // Half fixed, half chance: never at once, never all browsers together.
    const wait = ceiling / 2 + (Math.random() * ceiling) / 2;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.open(), wait);
  }

  retryNow() {
    if (this.ended) return;
    if (this.socket === null) this.open();
    else if (Date.now() - this.heard > SILENCE_MS) this.restart();
  }

  /** Take a line that says nothing for dead: a half-open one never closes. */
  watch(socket) {
    this.heard = Date.now();
    clearTimeout(this.silence);
    this.silence = setTimeout(() => {
      if (socket === this.socket) this.restart();
    }, SILENCE_MS);
  }

  restart() {
    this.drop();
    this.tell("connecting");
    this.later();
  }

  drop() {
    clearTimeout(this.silence);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  /** Let the line go until somebody looks again. */
  rest() {
    if (!document.hidden) return;
    clearTimeout(this.retry);
    this.drop();
  }

  end(status) {
    this.close();
    this.tell(status);
  }

  close() {
    this.ended = true;
    clearTimeout(this.retry);
    removeEventListener("online", this.hurry);
    document.removeEventListener("visibilitychange", this.hurry);
    removeEventListener("pageshow", this.hurry);
    this.drop();
  }

  tell(status) {
    if (status === this.status) return;
    this.status = status;
    this.callbacks.onStatus?.(status);
  }

  /** Every frame is late by its way here; the least late one is the truest. */
  keepOffset(offset) {
    this.offsets.push(offset);
    if (this.offsets.length > OFFSETS_KEPT) this.offsets.shift();
  }

  now() {
    return Date.now() + (this.offsets.length ? Math.max(...this.offsets) : 0);
  }
}

function address(path, view, machines) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("view", view);
  for (const machine of machines) url.searchParams.append("machine", machine);
  return url.href;
}
