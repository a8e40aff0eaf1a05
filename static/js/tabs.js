// Tabs, as the WAI-ARIA pattern has them: arrows move between them and choose.

function choose(tab, {focus = false} = {}) {
  for (const other of tab.parentElement.children) {
    const on = other === tab;
    other.setAttribute("aria-selected", on);
    other.tabIndex = on ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !on;
  }
  if (focus) tab.focus();
}

function listen(list) {
  const tabs = [...list.children];
  list.addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (!tab) return;
    event.preventDefault();
    choose(tab);
  });
  list.addEventListener("keydown", (event) => {
    const place = tabs.indexOf(event.target);
    const next = {ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: -1}[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(tabs.at(next % tabs.length), {focus: true});
  });
}

for (const list of document.querySelectorAll('[data-tabs] [role="tablist"]')) listen(list);
