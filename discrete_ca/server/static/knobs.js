// Level, hold, steps and count, with plain words and what they are expected to change.

import * as api from "./api.js";
import { percent } from "./arrays.js";
import { $, make, say } from "./dom.js";
import { beginning, className, path, picked, store } from "./store.js";

const STEPS = [1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200];
const COUNTS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32];

export const knobs = { level: 0.3, hold: null, steps: 20, n: 8, label: null, own: null, beginning: null, guidance: 0, metropolis: false };
const controls = {};
const chosen = new Map(); // classes that the person chose, by beginning

function slider(name, title, low, high, { from = null, min = 0, max = 1, step = 0.01, format }) {
  const output = make("output", { id: `${name}-value` });
  const input = make("input", {
    type: "range", id: name, min: from ? 0 : min, max: from ? from.length - 1 : max, step: from ? 1 : step,
    aria: { describedby: `${name}-words` },
  });
  const read = () => (from ? from[input.value] : Number(input.value));
  const write = (value) => {
    input.value = from ? from.findIndex((each) => each >= value) : value;
    tell();
  };
  function tell() {
    knobs[name] = read();
    output.textContent = format(knobs[name]);
    input.setAttribute("aria-valuetext", `${format(knobs[name])}, between ${low} and ${high}`);
  }
  input.addEventListener("input", () => {
    tell();
    changed();
  });
  const words = make("div", { className: "words", id: `${name}-words` }, make("span", {}, low), make("span", {}, high));
  controls[name] = { write, input };
  return make("div", { className: "knob" }, make("label", { htmlFor: name }, title, output), input, words);
}

export function setUp() {
  const { model } = store;
  const kept = JSON.parse(localStorage.getItem("knobs") || "{}");
  Object.assign(knobs, { hold: model.hold }, kept);
  if (model.hold === null) knobs.hold = null;
  else knobs.hold ??= model.hold;
  for (const name of ["label", "own"]) if (!(knobs[name] < model.labels)) knobs[name] = null;
  const two = (value) => value.toFixed(2);
  const found = [
    slider("level", "Level", "near", "far", { min: 0.02, format: two }),
    model.hold === null ? null : slider("hold", "Hold", "fast", "careful", { max: 0.99, format: two }),
    slider("steps", "Steps", "a glance", "a long walk", { from: STEPS, format: String }),
    slider("n", "How many", "few", "many", { from: COUNTS, format: String }),
  ].filter(Boolean);
  if (model.labels) {
    const select = make("select", { id: "label", on: { change: () => {
      knobs.label = knobs.own = select.value === "" ? null : Number(select.value);
      if (knobs.beginning) chosen.set(knobs.beginning, knobs.label);
      told();
      changed();
    } } }, make("option", { value: "" }, "any"), ...Array.from({ length: model.labels }, (_, k) => make("option", { value: k }, className(k))));
    controls.label = { input: select, write(label) {
      knobs.label = label;
      select.value = label ?? "";
      told();
    } };
    found.push(make("div", { className: "knob" }, make("label", { htmlFor: "label" }, "Class"), select));
    if (model.guidance) found.push(slider("guidance", "Guidance", "as it is", "louder", { max: 5, step: 0.1, format: (g) => g.toFixed(1) }));
  }
  if (!model.metropolis) knobs.metropolis = false;
  else {
    const box = make("input", { type: "checkbox", id: "metropolis", checked: knobs.metropolis, aria: { describedby: "metropolis-words" }, on: { change: () => {
      knobs.metropolis = box.checked;
      changed();
    } } });
    found.push(make("div", { className: "knob switch" }, make("label", { htmlFor: "metropolis" }, box, "Refuse steps that drift"),
      make("div", { className: "words", id: "metropolis-words" }, "Truer to the data at no more cost; moves a little less.")));
  }
  $("knobs").replaceChildren(...found);
  for (const name of Object.keys(controls)) controls[name].write(knobs[name]);
  told();
  $("aim").addEventListener("click", aim);
  $("wish").addEventListener("keydown", (event) => event.key === "Enter" && aim());
}

/** Guidance is of a class: without one it waits. */
function told() {
  if (controls.guidance) controls.guidance.input.disabled = knobs.label === null;
}

/**
 * The class belongs to the beginning. Who comes to a design of another one (begun with, picked, by
 * undo, in another session) finds the class that was chosen there, else the one that the design is
 * of: an example's, so that its variants stay what it is. Where a design is of none, the class is
 * the last that the person chose. Within a beginning it stays as it was set.
 */
export function follow() {
  const node = picked();
  const now = node && beginning(node);
  if (!controls.label || now === knobs.beginning) return;
  knobs.beginning = now;
  const its = node?.label < store.model.labels ? node.label : null;
  controls.label.write(chosen.has(now) ? chosen.get(now) : its ?? knobs.own);
  keep();
}

/** What every chain is asked with. */
const chain = (label = knobs.label) => ({
  hold: knobs.hold, label, guidance: label === null ? 0 : knobs.guidance, metropolis: knobs.metropolis,
});

export function nudge(name, by) {
  if (!controls[name]) return;
  const { input } = controls[name];
  input.value = Number(input.value) + by * Number(input.step);
  input.dispatchEvent(new Event("input"));
  say(`${name === "n" ? "how many" : name} ${knobs[name]}`);
}

/** What a run at one level is asked with. */
export const near = () => ({ ...chain(), node: picked().id, level: knobs.level, steps: knobs.steps, n: knobs.n });
/** What a run through falling levels is asked with. */
export const annealed = (label) => ({ ...chain(label), n: knobs.n, moves: Math.max(12, Math.min(64, knobs.steps)) });

let waiting;
let asked = "";
let asking = null;

const keep = () => localStorage.setItem("knobs", JSON.stringify(knobs));

function changed() {
  keep();
  expect();
}

const keyOf = (node) => [node.key, knobs.level, knobs.steps, ...Object.values(chain())].join();

/** Measure, a moment after the last change, what variants would change; a drawing goes first. */
export function expect() {
  const node = picked();
  const key = node && keyOf(node);
  if (!node) $("expected").textContent = "";
  if (!node || key === asked) return;
  asked = key;
  clearTimeout(waiting);
  asking?.abort();
  $("expected").textContent = "Measuring what would change …";
  waiting = setTimeout(measure, 450);
}

/** A drawing begins: measurements wait for its end. */
export function yieldTo() {
  clearTimeout(waiting);
  asking?.abort();
}

export function resume() {
  asked = "";
  expect();
}

function expected(share) {
  const about = share > 0 && share < 0.01 ? "" : "about ";
  $("expected").replaceChildren(`Changes ${about}`, make("strong", {}, percent(share)), " of the open cells");
}

/**
 * Ask for a measurement; null where it gave way. A drawing, of another tab, goes first: then it is
 * asked for again. Another tab's measurement may take its place for good, or two would never end.
 */
async function asks(what, body, again) {
  asking = new AbortController();
  try {
    const found = await api.call("POST", path(what), body, asking.signal);
    if (found.to_drawing) {
      clearTimeout(waiting);
      waiting = setTimeout(again, 1500);
    }
    return found.gave_way ? null : found;
  } catch (error) {
    if (error.name === "AbortError") return null;
    throw error;
  }
}

async function measure() {
  const node = picked();
  if (store.drawing || !node) return;
  const { level, steps } = knobs;
  try {
    const found = await asks("/expect", { ...chain(), node: node.id, level, steps }, measure);
    if (found) expected(found.changed);
  } catch (error) {
    $("expected").textContent = error.message;
  }
}

async function aim() {
  const node = picked();
  const change = Number($("wish").value) / 100;
  if (!node || !(change > 0 && change < 1)) return say("Aim at 1 to 99 %", true);
  yieldTo();
  $("expected").textContent = "Looking for the level …";
  try {
    const found = await asks("/wish", { ...chain(), node: node.id, change, steps: Math.min(200, knobs.steps) }, aim);
    if (!found) return;
    controls.level.write(Math.max(0.02, found.level));
    if (controls.hold && found.hold !== null) controls.hold.write(found.hold);
    asked = keyOf(node);
    expected(found.changed);
    keep();
  } catch (error) {
    say(error.message, true);
    resume();
  }
}
