// What somebody asked for and did not get is said, not swallowed. What the page asks
// for by itself is not: its bar says that the hub is away.

const SHOWN_MS = 12_000;

const REASONS = {
  0: "The hub did not answer, so this may not have been done. Try it again.",
  403: "This is not open to you, or the page was open for too long. Load it again.",
  404: "It is not there any more. Load the page again.",
  503: "The database is away, so nothing was changed. Try it again in a moment.",
};
const OTHERWISE = "The hub could not do that. Its log says why.";

const isAsked = ({verb}) => verb === "post";

let timer = 0;
function say(words, link) {
  const place = document.getElementById("failure");
  place.textContent = words;
  if (link) {
    const anchor = document.createElement("a");
    [anchor.textContent, anchor.href] = link;
    place.append(" ", anchor);
  }
  place.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (place.hidden = true), SHOWN_MS);
}

function fail({detail}) {
  if (isAsked(detail.requestConfig)) say(REASONS[detail.xhr?.status ?? 0] ?? OTHERWISE);
}

for (const name of ["sendError", "timeout", "responseError"]) {
  document.addEventListener(`htmx:${name}`, fail);
}

// Whoever is signed out is led to a page that belongs into no row of a table.
document.addEventListener("htmx:beforeSwap", (event) => {
  const {xhr, requestConfig} = event.detail;
  if (!new URL(xhr.responseURL || location.href).pathname.startsWith("/sign-in/")) return;
  event.detail.shouldSwap = false;
  if (isAsked(requestConfig)) say("You are signed out. Nothing was changed.", ["Sign in again", location.href]);
});

document.addEventListener("htmx:beforeRequest", ({detail}) => {
  if (isAsked(detail.requestConfig)) document.getElementById("failure").hidden = true;
});
