// What opens over the page: beginning, comparing, exporting, sessions, help.

import * as api from "./api.js";
import { design, percent } from "./arrays.js";
import { called } from "./cards.js";
import { $, colour, make, say } from "./dom.js";
import { annealed, knobs } from "./knobs.js";
import { change, className, create, open, path, picked, store } from "./store.js";

const KEYS = [
  ["V", "variants"], ["W", "walk"], ["I", "redraw what is marked, or all open"], ["B", "blend the ticked designs"],
  ["C", "compare the ticked two, or with what it came from"], ["Z / Y", "undo / redo"], ["S", "star"], ["N", "begin with another design"], ["E", "export"],
  ["P L M", "draw to paint, lock, mark"], ["T", "next tool: brush, rectangle, fill"], ["0–9", "category"], ["X", "erase, unlock, unmark"],
  ["Shift I", "invert"], ["[ ]", "brush size"], [", .", "level nearer, farther"], ["D", "go to the design"], ["G", "go to the results"],
  ["Arrows Space", "in the design: move, draw"], ["Space", "play music"], ["Del", "discard the design"], ["Esc", "stop drawing"], ["?", "this help"],
];

let grid;
let start;

export function setUp(medium, startDrawing) {
  grid = medium;
  start = startDrawing;
  $("keys").replaceChildren(...KEYS.map(([key, text]) =>
    make("tr", {}, make("td", {}, ...key.split(" ").flatMap((each) => [each === "/" ? "/ " : make("kbd", {}, each), " "])), make("td", {}, text))));
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
  $("help").addEventListener("click", () => $("help-dialog").showModal());
  $("begin").addEventListener("click", begin);
  $("export").addEventListener("click", exporting);
  $("sessions").addEventListener("click", sessions);
  $("new-session").addEventListener("click", async () => {
    await create();
    $("sessions-dialog").close();
    begin();
  });
  $("more-examples").addEventListener("click", () => examples(Math.floor(Math.random() * store.model.examples)));
  $("begin-words-go").addEventListener("click", () => beginWith({ text: $("begin-words").value }));
}

// -- beginning ----------------------------------------------------------------------------------------

export function begin() {
  const ways = [];
  if (store.model.starts_from_noise) {
    ways.push(make("button", { className: "primary", id: "from-noise", on: { click: () => {
      $("begin-dialog").close();
      start("noise", annealed(knobs.own)); // not the class of the design that one leaves
    } } }, `New ones from noise${knobs.own === null ? "" : `, class ${className(knobs.own)}`}`));
  }
  ways.push(make("button", { id: "from-blank", on: { click: () => beginWith({ blank: true }) } }, "A blank sheet"));
  if (store.model.kind === "image") {
    const file = make("input", { type: "file", accept: "image/*", hidden: true, on: { change: () => fromPicture(file.files[0]) } });
    ways.push(make("button", { on: { click: () => file.click() } }, "A picture"), file);
  }
  $("begin-ways").replaceChildren(...ways);
  $("begin-text").hidden = store.model.kind !== "text";
  $("examples-part").hidden = !store.model.examples;
  $("examples-of").textContent = `From ${store.model.examples_of}`;
  $("examples").replaceChildren(); // those of before would be replaced under a finger
  if (store.model.examples) examples(0);
  if (!$("begin-dialog").open) $("begin-dialog").showModal();
  $("begin-ways").querySelector("button").focus();
}

async function beginWith(body) {
  try {
    await change("/begin", body);
    $("begin-dialog").close();
  } catch (error) {
    say(error.message, true);
  }
}

async function examples(first) {
  const found = await api.call("GET", `examples/${first}?count=24`).catch(() => ({ designs: [] }));
  $("examples").classList.toggle("long", grid.long);
  $("examples").replaceChildren(...found.designs.map((text, i) => {
    const shown = grid.face(design(text, store.model.num_categories));
    const of = found.labels[i] === null ? "" : `class ${className(found.labels[i])}`;
    return make("button", {
      className: "face", title: of, aria: { label: called([`Example ${first + i}`, of].filter(Boolean).join(", "), shown) }, on: { click: () => beginWith({ example: first + i }) },
    }, shown);
  }));
}

/** A picture, made as large as a design and quantised to its categories; bright is high. */
async function fromPicture(file) {
  const picture = await createImageBitmap(file).catch(() => null);
  if (!picture) return say("That file is not a picture", true);
  const { rows, columns, channels, K } = grid;
  const canvas = new OffscreenCanvas(columns, rows);
  const context = canvas.getContext("2d");
  const scale = Math.max(columns / picture.width, rows / picture.height);
  const size = [picture.width * scale, picture.height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (columns - size[0]) / 2, (rows - size[1]) / 2, ...size);
  const { data } = context.getImageData(0, 0, columns, rows);
  const found = [];
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < rows * columns; i++) {
      const light = channels === 3 ? data[4 * i + c] : (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 3;
      found.push(Math.round((light / 255) * (K - 1)));
    }
  }
  await beginWith({ design: found });
}

// -- comparing ----------------------------------------------------------------------------------------

export function compare() {
  const [one, other] = store.chosen.size >= 2 ? [...store.chosen].slice(-2).map((id) => store.nodes.get(id)) : [before(picked()), picked()];
  if (!one || !other) return say("Tick two designs to compare them", true);
  const differ = one.design.reduce((sum, value, i) => sum + (value !== other.design[i]), 0);
  $("compare-body").replaceChildren(...[[one, other], [other, one]].map(([node, base]) => {
    const picture = grid.face(node.design, undefined, base.design);
    if (picture instanceof HTMLCanvasElement && !grid.long) outlineDifferences(picture, node, base);
    return make("figure", {}, picture, make("figcaption", {}, `Design ${node.id}${node.note ? `: ${node.note}` : ""}`));
  }));
  $("compare-facts").textContent = `${differ} of ${one.design.length} cells differ (${percent(differ / one.design.length)})${grid.long ? "" : "; each of them has a dot"}.`;
  $("compare-dialog").showModal();
}

/** What a design came from: the last one before it that looks otherwise, for locks change no cell. */
function before(node) {
  let found = node;
  do found = store.nodes.get(found?.parents[0]);
  while (found?.parents.length && found.design.every((value, i) => value === node.design[i]));
  return found;
}

function outlineDifferences(canvas, node, base) {
  const small = grid.face(node.design);
  const cell = Math.max(6, Math.floor(420 / grid.columns));
  canvas.width = grid.columns * cell;
  canvas.height = grid.rows * cell;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  context.fillStyle = colour("--accent");
  for (let y = 0; y < grid.rows; y++) {
    for (let x = 0; x < grid.columns; x++) {
      if (grid.cellsAt(x, y).every((i) => node.design[i] === base.design[i])) continue;
      context.beginPath();
      context.arc((x + 0.5) * cell, (y + 0.5) * cell, cell / 5, 0, 7);
      context.fill();
    }
  }
}

// -- exporting ----------------------------------------------------------------------------------------

export function exporting() {
  const groups = [
    ["the design", store.state.picked],
    [`the ${store.chosen.size} ticked`, [...store.chosen]],
    [`the ${store.shown.ids.length} results`, store.shown.ids],
    ["the starred", [...store.nodes.values()].filter((node) => node.stars).map((node) => node.id)],
  ].filter(([, ids]) => ids.length);
  if (!groups.length) return say("There is nothing to export yet", true);
  const legend = $("export-what").firstElementChild;
  $("export-what").replaceChildren(legend, ...groups.map(([text, ids], i) => make("label", {},
    make("input", { type: "radio", name: "what", value: ids.slice(0, 256).join(), checked: i === 0 }), text)));
  $("export-formats").replaceChildren(...store.model.formats.map((format) => make("button", {
    dataset: { format }, on: { click: () => save(format) },
  }, FORMATS[format] || format)));
  $("export-dialog").showModal();
}

const FORMATS = { png: "PNG picture", gif: "GIF film", npz: "Arrays (.npz)", txt: "Text", mid: "MIDI" };

async function save(format) {
  const nodes = document.querySelector("input[name=what]:checked").value;
  try {
    const found = await api.file(path(`/export?nodes=${nodes}&format=${format}`));
    const address = URL.createObjectURL(found.blob);
    const link = make("a", { href: address, download: found.name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
    $("export-dialog").close();
    say(`Saved ${found.name}`);
  } catch (error) {
    say(error.message, true);
  }
}

// -- sessions -----------------------------------------------------------------------------------------

async function sessions() {
  const found = await api.call("GET", "sessions").catch((error) => say(error.message, true));
  if (!found) return;
  const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  $("sessions-list").replaceChildren(...found.slice(0, 50).map(({ id, saved }) => make("li", {}, make("button", {
    aria: id === store.id ? { current: "true" } : {},
    on: { click: () => open(id).then(() => $("sessions-dialog").close(), (error) => say(error.message, true)) },
  }, when.format(saved * 1000), make("span", { className: "facts" }, id === store.id ? "this one" : id.slice(0, 6))))));
  $("sessions-dialog").showModal();
}
