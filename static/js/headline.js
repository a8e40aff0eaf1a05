// "12 machines · 2 need you": `hub/web/headline.py` says the same.

export function headline(states, needs) {
  const count = (state) => states.filter((each) => each === state).length;
  const told = (number) => number.toLocaleString("en");
  const need = needs.reduce((sum, state) => sum + count(state), 0);
  const parts = [
    ["total", states.length === 1 ? "1 machine" : `${told(states.length)} machines`],
  ];
  if (need) parts.push(["need", `${told(need)} need${need === 1 ? "s" : ""} you`]);
  if (count("warning")) parts.push(["late", `${told(count("warning"))} to watch`]);
  if (count("stale")) parts.push(["late", `${told(count("stale"))} stale`]);
  if (count("never")) parts.push(["late", `${told(count("never"))} waiting for a first sample`]);
  if (count("stopped")) parts.push(["late", `${told(count("stopped"))} stopped`]);
  if (parts.length === 1 && states.length) parts.push(["well", "all well"]);
  return parts;
}

export function showHeadline(element, parts) {
  const text = parts.map(([, words]) => words).join("|");
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(
    ...parts.map(([kind, words]) => {
      const span = document.createElement("span");
      span.className = kind;
      span.textContent = words;
      return span;
    }),
  );
}
