// Elements, icons, the line that says what happened.

export const $ = (id) => document.getElementById(id);

/** An element with properties, data and children; `on` holds listeners. */
export function make(tag, properties = {}, ...children) {
  const { on = {}, aria = {}, dataset = {}, ...rest } = properties;
  const found = Object.assign(document.createElement(tag), rest);
  for (const [name, listener] of Object.entries(on)) found.addEventListener(name, listener);
  for (const [name, value] of Object.entries(aria)) {
    found.setAttribute(name === "role" ? name : `aria-${name}`, value);
  }
  Object.assign(found.dataset, dataset);
  found.append(...children.filter((child) => child != null));
  return found;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `icons.svg#${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

let hiding;
/** Say something; what went wrong stays longer. */
export function say(text, bad = false) {
  const status = $("status");
  status.textContent = text;
  status.className = `status on${bad ? " bad" : ""}`;
  clearTimeout(hiding);
  hiding = setTimeout(() => status.classList.remove("on"), bad ? 9000 : 3500);
}

/** A group of which one is chosen, with arrow keys. */
export function choices(group, entries, chosen, onChoose) {
  const buttons = entries.map(({ value, label, title, face }) => {
    const button = make("button", {
      type: "button", title: title || "", className: face || "",
      aria: { role: "radio" }, on: { click: () => choose(value, true) },
    }, label);
    button.value = value;
    return button;
  });
  function choose(value, tell) {
    for (const button of buttons) {
      const on = button.value === String(value);
      button.setAttribute("aria-checked", on);
      button.tabIndex = on ? 0 : -1;
    }
    if (tell) onChoose(value);
  }
  group.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = buttons.indexOf(event.target);
    if (!step || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  };
  group.replaceChildren(...buttons);
  choose(chosen, false);
  return { choose: (value) => choose(value, true), buttons };
}
