// The tokens' colours as a canvas needs them: resolved for the theme shown.

export function colours() {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const found = {
    series: [1, 2, 3, 4, 5, 6, 7, 8].map((place) => read(`series-${place}`)),
    line: read("line"),
    strong: read("line-strong"),
    muted: read("muted"),
    text: read("text"),
    warning: read("warning"),
    critical: read("critical"),
  };
  probe.remove();
  return found;
}

/** The same colour, see-through: "rgb(1, 2, 3)" becomes "rgb(1 2 3 / 0.2)". */
export function faint(colour, alpha) {
  const [red, green, blue] = colour.match(/[\d.]+/g);
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}
