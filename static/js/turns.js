// What a page asks for by itself gives way to what somebody asked for: an answer from
// before the click or the word would undo what it has shown, and lose the focus with it.

let asked = 0;
let answeredAt = 0;
let hasGivenWay = false;
const began = new WeakMap();

const isByItself = ({verb, triggeringEvent}) => verb === "get" && !triggeringEvent;

document.addEventListener("htmx:beforeSend", ({detail: {requestConfig, xhr}}) => {
  began.set(requestConfig, performance.now());
  if (isByItself(requestConfig)) return;
  asked += 1;
  // Not an event of htmx: those are lost where their element has left the page.
  xhr.addEventListener("loadend", answer);
});

function answer() {
  asked -= 1;
  answeredAt = performance.now();
  if (asked || !hasGivenWay) return;
  hasGivenWay = false;
  document.dispatchEvent(new Event("turn"));
}

document.addEventListener("htmx:beforeSwap", ({detail}) => {
  if (!isByItself(detail.requestConfig)) return;
  if (!asked && began.get(detail.requestConfig) > answeredAt) return;
  detail.shouldSwap = false;
  if (asked) hasGivenWay = true;
  else document.dispatchEvent(new Event("turn"));
});
