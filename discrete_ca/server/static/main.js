// The page: what is drawn with, what keys do, and drawings from the click to the last frame.

import * as api from "./api.js";
import { design as decode } from "./arrays.js";
import { Canvas } from "./canvas.js";
import * as cards from "./cards.js";
import * as dialogs from "./dialogs.js";
import { $, choices, icon, make, say } from "./dom.js";
import { Picture, Roll } from "./grids.js";
import * as knobs from "./knobs.js";
import * as music from "./music.js";
import { accept, change, create, onChange, open, path, picked, refresh, store, tell } from "./store.js";
import * as tree from "./tree.js";
import { Words, WordsEditor } from "./words.js";

const hand = { mode: "paint", tool: "brush", erase: false, value: 1, brush: 2 };
let grid;
let editor;
let modes;
let tools;
let palette = { buttons: [] };

// -- drawing with the chain -----------------------------------------------------------------------------

/** Ask for a drawing and show it as it comes; a drawing that goes on gives way. */
async function draw(operation, body) {
  store.drawing?.abort();
  const own = (store.drawing = new AbortController());
  knobs.yieldTo();
  const begun = performance.now();
  const base = store.nodes.get(body.node)?.design;
  let first = null;
  cards.expectCards(body.n, operation);
  $("results-facts").textContent = "";
  $("stop").hidden = false;
  $("progress").classList.add("on");
  progress(0);
  try {
    const news = await api.draw(path(`/${operation}`), body, (frame) => {
      if (store.drawing !== own) return;
      cards.showFrame(frame.first, frame.designs.map((text) => decode(text, store.model.num_categories)), base);
      progress(frame.done / frame.of);
      first ??= performance.now() - begun;
    }, own.signal);
    if (store.drawing === own) finish();
    const ids = news.nodes.map((node) => node.id);
    store.shown = { ids, operation };
    const made = accept(news);
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    say(`${made.length} in ${seconds} s${first === null ? "" : `, the first frame after ${first.toFixed(0)} ms`}`);
  } catch (error) {
    if (store.drawing !== own) return;
    finish();
    tell();
    if (error.name !== "AbortError" && !(error instanceof api.GaveWay)) say(error.message, true);
  }
  knobs.resume();
}

function finish() {
  store.drawing = null;
  $("stop").hidden = true;
  $("progress").classList.remove("on");
}

function progress(share) {
  $("progress").firstElementChild.style.width = `${100 * share}%`;
  $("progress").setAttribute("aria-valuenow", Math.round(100 * share));
}

function stop() {
  if (!store.drawing) return;
  store.drawing.abort();
  say("Stopped");
}

const needed = () => picked() || (say("Begin with a design first", true), null);

function variants() {
  if (needed()) draw("variants", knobs.near());
}

function walk() {
  if (!needed()) return;
  const body = knobs.near();
  draw("walk", { ...body, n: Math.max(2, body.n), steps: Math.max(1, Math.min(Math.round(body.steps / 5), Math.floor(1000 / Math.max(2, body.n)))) });
}

function redraw() {
  const node = needed();
  if (!node) return;
  const open = (i) => !node.locked?.[i];
  const marked = [...editor.marked].filter(open);
  const cells = marked.length ? marked : Array.from(node.design.keys()).filter(open);
  if (!cells.length) return say("Every cell is locked; unlock some first", true);
  draw("inpaint", { ...knobs.annealed(), node: node.id, cells });
}

function blend() {
  if (store.chosen.size < 2) return say("Tick two designs or more, then blend them", true);
  draw("blend", { ...knobs.annealed(), nodes: [...store.chosen] });
}

// -- drawing by hand ------------------------------------------------------------------------------------

/** One thing after another: a stroke is told of the design that the last one made. */
let queue = Promise.resolve();
function inTurn(work) {
  queue = queue.then(work).catch((error) => {
    say(error.message, true);
    tell();
  });
  return queue;
}

function stroke(mode, cells, values, erase) {
  if (mode === "mark") {
    for (const cell of cells) erase ? editor.marked.delete(cell) : editor.marked.add(cell);
    say(editor.marked.size ? `${editor.marked.size} cells are marked to be redrawn` : "Nothing is marked");
    return editor.draw();
  }
  return inTurn(async () => {
    const node = picked()?.id;
    if (mode === "paint") await change("/paint", { node, cells, values, held: $("held").checked });
    else await change(erase ? "/unlock" : "/lock", { node, cells });
  });
}

function invert() {
  const node = needed();
  if (!node) return;
  const all = [...node.design.keys()];
  if (hand.mode === "lock") {
    const locked = all.filter((i) => node.locked?.[i]);
    const open = all.filter((i) => !node.locked?.[i]);
    if (open.length) stroke("lock", open, [], false);
    if (locked.length) stroke("lock", locked, [], true);
  } else {
    const marked = all.filter((i) => !node.locked?.[i] && !editor.marked.has(i));
    editor.marked.clear();
    stroke("mark", marked, [], false);
    modes.choose("mark");
  }
}

function clear() {
  const node = needed();
  if (!node) return;
  if (hand.mode === "mark") {
    editor.marked.clear();
    return editor.draw();
  }
  const locked = [...node.design.keys()].filter((i) => node.locked?.[i]);
  if (locked.length) stroke("lock", locked, [], true);
}

function erase(on) {
  hand.erase = on;
  $("erase").setAttribute("aria-pressed", on);
}

function setMode(mode) {
  hand.mode = mode;
  erase(false);
  $("palette").hidden = mode !== "paint" && store.model.kind !== "music";
  $("held-label").hidden = mode !== "paint";
  $("held-label").lastChild.textContent = ` lock what I ${grid instanceof Words ? "write" : "paint"}`;
  $("erase").textContent = { paint: "Erase", lock: "Unlock", mark: "Unmark" }[mode];
  $("erase").hidden = mode === "paint" && store.model.kind !== "image";
  $("invert").hidden = mode === "paint";
  $("clear").hidden = mode === "paint";
  $("clear").textContent = mode === "mark" ? "Unmark all" : "Unlock all";
  editor?.draw();
}

/** What can be painted: shades, a colour, voices, or a line to type. */
function makePalette() {
  const { model } = store;
  const place = $("palette");
  if (model.kind === "music") {
    const names = model.shape[0] === 4 ? ["Soprano", "Alto", "Tenor", "Bass"] : [];
    palette = choices(place, Array.from({ length: model.shape[0] }, (_, v) => ({ value: v, label: names[v] || `Voice ${v + 1}`, face: "swatch word" })), 0, (v) => {
      grid.voice = v;
      editor.draw();
    });
    palette.buttons.forEach((button, v) => (button.style.borderBottom = `3px solid var(--voice-${(v % 4) + 1})`));
  } else if (model.kind !== "image") {
    const typed = make("input", { type: "text", id: "typed", autocomplete: "off", aria: { label: model.tokens ? "Text to write at the cursor" : "Numbers to write at the cursor" }, placeholder: model.tokens ? "Write at the cursor" : "Numbers" });
    const go = () => {
      const found = model.tokens ? grid.encode(typed.value) : typed.value.trim().split(/[\s,]+/).map(Number);
      if (!found || found.some((k) => !Number.isInteger(k) || k < 0 || k >= model.num_categories)) return say("The model does not know some of it", true);
      editor.write(found);
      editor.commit();
      typed.value = "";
    };
    typed.addEventListener("keydown", (event) => event.key === "Enter" && go());
    place.removeAttribute("role");
    place.replaceChildren(typed, make("button", { on: { click: go } }, "Write"));
  } else if (grid.channels === 3) {
    const input = make("input", { type: "color", value: "#000000", aria: { label: "Colour" }, on: { input: () => {
      hand.value = [1, 3, 5].map((i) => Math.round((parseInt(input.value.slice(i, i + 2), 16) * (grid.K - 1)) / 255));
    } } });
    hand.value = [0, 0, 0];
    place.replaceChildren(input);
  } else if (grid.K <= 16) {
    hand.value = grid.K - 1;
    palette = choices(place, Array.from({ length: grid.K }, (_, k) => ({ value: k, label: "", title: `Category ${k}`, face: "swatch" })), hand.value, (k) => {
      hand.value = k;
      erase(false);
    });
    shadePalette();
  } else {
    hand.value = grid.K - 1;
    const input = make("input", { type: "range", min: 0, max: grid.K - 1, value: hand.value, aria: { label: "Category" }, on: { input: () => {
      hand.value = Number(input.value);
    } } });
    place.replaceChildren(input);
  }
}

function shadePalette() {
  if (store.model.kind !== "image") return;
  palette.buttons.forEach((button, k) => {
    button.setAttribute("aria-label", `Category ${k}`);
    button.style.background = grid.swatch(k);
  });
}

/** Delete a design with all that was made from it. */
function discard() {
  const node = needed();
  if (!node) return;
  const gone = new Set([node.id]);
  for (const each of store.nodes.values()) if (each.parents.some((id) => gone.has(id))) gone.add(each.id);
  const rest = gone.size > 1 ? ` and the ${gone.size - 1} made from it` : "";
  if (!confirm(`Discard design ${node.id}${rest}? This cannot be undone.`)) return;
  inTurn(async () => {
    knobs.yieldTo(); // nothing is measured of a design that goes
    try {
      await change(`/nodes/${node.id}`, undefined, "DELETE");
    } finally {
      knobs.resume();
    }
  });
}

// -- showing ----------------------------------------------------------------------------------------------

function render() {
  const node = picked();
  const { state } = store;
  $("undo").disabled = !state.can_undo;
  $("redo").disabled = !state.can_redo;
  for (const id of ["variants", "walk", "redraw"]) $(id).disabled = !node;
  $("blend").disabled = store.chosen.size < 2;
  $("blend").textContent = store.chosen.size > 1 ? `Blend ${store.chosen.size}` : "Blend";
  $("compare").disabled = store.chosen.size < 2 && !node?.parents.length;
  $("design-title").textContent = node ? `Design ${node.id}` : "Design";
  const locked = node?.locked ? node.locked.reduce((a, b) => a + b, 0) : 0;
  $("design-facts").textContent = node ? `${cards.label(node.operation)}${locked ? ` · ${locked} locked` : ""}` : "";
  $("note").disabled = $("discard").disabled = !node;
  if (document.activeElement !== $("note")) $("note").value = node?.note || "";
  $("stars").replaceChildren(...(node ? [1, 2, 3, 4, 5].map((n) => make("button", {
    className: n <= node.stars ? "on" : "", title: `${n} of 5`, aria: { label: `Rate ${n} of 5`, pressed: n === node.stars },
    on: { click: () => inTurn(() => change(`/nodes/${node.id}`, { stars: node.stars === n ? 0 : n }, "PATCH")) },
  }, icon(n <= node.stars ? "star-on" : "star"))) : []));
  $("play").hidden = store.model.kind !== "music" || !node;
  if (node) {
    if (editor.shownKey !== node.key) editor.marked.clear();
    editor.shownKey = node.key;
    editor.show(node.design, node.locked);
  }
  $("editor").classList.toggle("empty", !node);
  editor.element.hidden = !node;
  $("hint").hidden = Boolean(node);
  cards.render();
  tree.render();
  knobs.follow();
  if (!store.drawing) knobs.expect();
}

function themed() {
  grid.themed();
  tree.forget();
  shadePalette();
  render();
}

function play() {
  const node = picked();
  if (!node || store.model.kind !== "music") return;
  if (music.isPlaying()) return music.stop();
  $("play").replaceChildren(icon("stop"));
  music.play(grid, node.design, (step) => {
    if (step === null) {
      $("play").replaceChildren(icon("play"));
      return editor.draw();
    }
    editor.draw();
    const context = editor.element.getContext("2d");
    context.fillStyle = "#8886";
    context.fillRect(step * editor.cell[0], 0, editor.cell[0], editor.element.height);
  });
}

// -- keys ---------------------------------------------------------------------------------------------------

const undo = () => inTurn(() => store.state.can_undo && change("/undo"));
const redo = () => inTurn(() => store.state.can_redo && change("/redo"));
const star = () => picked() && inTurn(() => change(`/nodes/${picked().id}`, { stars: picked().stars ? 0 : 1 }, "PATCH"));
const cycle = () => {
  const order = ["brush", "rectangle", "fill"];
  tools.choose(order[(order.indexOf(hand.tool) + 1) % 3]);
  say(hand.tool);
};

const KEYS = {
  v: variants, w: walk, i: redraw, b: blend, c: () => dialogs.compare(), z: undo, y: redo, s: star, n: () => dialogs.begin(),
  e: () => dialogs.exporting(), p: () => modes.choose("paint"), l: () => modes.choose("lock"), m: () => modes.choose("mark"),
  t: cycle, x: () => erase(!hand.erase), I: invert, "[": () => brush(-1), "]": () => brush(1),
  ",": () => knobs.nudge("level", -5), ".": () => knobs.nudge("level", 5), d: () => editor.element.focus(),
  g: () => $("results").querySelector(".face:not(:disabled)")?.focus(), "?": () => $("help-dialog").showModal(),
  Escape: stop, " ": play, Delete: discard,
};

function brush(by) {
  hand.brush = Math.max(1, Math.min(6, hand.brush + by));
  $("brush").value = hand.brush;
}

function onKey(event) {
  const inField = event.target.closest("textarea, select, input:not([type=checkbox]):not([type=range])");
  if (document.querySelector("dialog[open]") || (inField && event.key !== "Escape")) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    event.preventDefault();
    return event.shiftKey ? redo() : undo();
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && event.target.closest("button, input, a")) return;
  if (/^\d$/.test(event.key)) {
    const button = palette.buttons[Number(event.key) - (store.model.kind === "music" ? 1 : 0)];
    if (button) button.click();
    return;
  }
  const act = KEYS[event.key] || KEYS[event.key.toLowerCase()];
  if (!act || (event.key === " " && store.model.kind !== "music")) return;
  event.preventDefault();
  act();
}

// -- beginning ------------------------------------------------------------------------------------------------

async function main() {
  store.model = await api.call("GET", "model");
  const { model } = store;
  $("run-name").textContent = model.name;
  document.title = `${model.name} — explore`;
  grid = model.kind === "image" ? new Picture(model) : model.kind === "music" ? new Roll(model) : new Words(model);
  grid.blank = grid.channels === 3 ? [0, 0, 0] : 0;
  const Editor = grid instanceof Words ? WordsEditor : Canvas;
  editor = new Editor($("editor"), grid, hand, stroke, (text) => ($("cursor").textContent = text));
  editor.element.after(make("p", { id: "hint", hidden: true }, "Begin with a design: New, or N."));
  modes = choices($("modes"), [
    { value: "paint", label: grid instanceof Words ? "Write" : "Paint", title: "Paint (P)" },
    { value: "lock", label: "Lock", title: "Lock (L): no draw changes these" },
    { value: "mark", label: "Mark", title: "Mark (M) to redraw" },
  ], "paint", setMode);
  tools = choices($("tools"), [
    { value: "brush", label: "Brush" }, { value: "rectangle", label: grid.long ? "Span" : "Rectangle" }, { value: "fill", label: "Fill" },
  ], "brush", (tool) => (hand.tool = tool));
  $("tools").hidden = grid instanceof Words;
  document.querySelector(".brush").hidden = grid.long;
  makePalette();
  setMode("paint");
  knobs.setUp();
  cards.setUp(grid);
  tree.setUp(grid);
  dialogs.setUp(grid, draw);
  onChange(render);

  for (const [id, act] of Object.entries({ variants, walk, redraw, blend, undo, redo, stop, invert, clear, play, discard, compare: () => dialogs.compare() })) {
    $(id).addEventListener("click", act);
  }
  $("erase").addEventListener("click", () => erase(!hand.erase));
  $("brush").addEventListener("input", () => (hand.brush = Number($("brush").value)));
  $("note").addEventListener("change", () => picked() && inTurn(() => change(`/nodes/${picked().id}`, { note: $("note").value }, "PATCH")));
  $("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("theme", theme);
    themed();
  });
  document.addEventListener("keydown", onKey);
  document.addEventListener("film", ({ detail: node }) => node && editor.show(node.design, node.locked));
  window.addEventListener("hashchange", () => {
    const id = new URLSearchParams(location.hash.slice(1)).get("s");
    if (id && id !== store.id) open(id).catch((error) => say(error.message, true));
  });
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh().catch(() => {}));

  const wanted = new URLSearchParams(location.hash.slice(1)).get("s") || localStorage.getItem(`session of ${model.name}`);
  const opened = wanted && (await open(wanted).then(() => true, () => false));
  if (!opened) await create();
  if (!store.nodes.size) dialogs.begin();
  document.body.dataset.ready = "true";
}

main().catch((error) => {
  document.querySelector("main").replaceChildren(make("p", { className: "blank", id: "refused", role: "alert" }, error.message));
});
