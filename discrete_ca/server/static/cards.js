// The results: a grid that fills as designs come, a strip for a walk.

import { changed, percent } from "./arrays.js";
import { $, icon, make, say } from "./dom.js";
import { change, picked, store, tell } from "./store.js";

let grid;
let cards = [];
let film = null;

export function setUp(medium) {
  grid = medium;
  $("results").classList.toggle("long", grid.long);
  $("film").addEventListener("click", () => (film ? stopFilm() : playFilm()));
}

/** An element for a design; a canvas that is there is used again. */
export function face(design, base, old) {
  return grid.face(design, old instanceof HTMLCanvasElement ? old : undefined, base);
}

/** What a face is called: of a text, its words too. */
export const called = (name, shown) => (shown.textContent ? `${name}: ${shown.textContent}` : name);

export const words = (node) => {
  const parent = store.nodes.get(node.parents[0]);
  return parent ? `${percent(changed(node.design, parent.design, parent.locked))} changed` : "new";
};

function share(node) {
  const [number, ...rest] = words(node).split(" changed");
  return make("span", {}, number, rest.length ? make("span", { className: "word" }, " changed") : null);
}

/** Cards that wait for frames. */
export function expectCards(n, operation) {
  stopFilm();
  $("results").classList.toggle("strip", operation === "walk");
  cards = Array.from({ length: n }, (_, i) => {
    const hold = make("button", { className: "face", disabled: true, aria: { label: `Design ${i + 1} of ${n}, being drawn` } });
    const card = make("div", { className: "card" }, hold, make("div", { className: "under" }, make("span", {}, "…")));
    return { card, hold };
  });
  $("results").replaceChildren(...cards.map(({ card }) => card));
  const place = document.querySelector(".results-head").getBoundingClientRect();
  if (place.top > window.innerHeight - 160) document.querySelector(".results-head").scrollIntoView({ behavior: "smooth" });
}

/** A frame: designs from a place on. */
export function showFrame(first, designs, base) {
  designs.forEach((design, i) => {
    const { hold } = cards[first + i] || {};
    if (!hold) return;
    const found = face(design, base, hold.firstChild);
    if (found !== hold.firstChild) hold.replaceChildren(found);
  });
}

/** The nodes that are shown, each to pick, star or choose. */
export function render() {
  if (store.drawing) return;
  stopFilm();
  const nodes = store.shown.ids.map((id) => store.nodes.get(id)).filter(Boolean);
  const strip = store.shown.operation === "walk";
  $("results").classList.toggle("strip", strip);
  $("film").hidden = !(strip && nodes.length > 1);
  if (!nodes.length) {
    const text = picked() ? "Ask for variants, or walk from the design." : "Begin with a design.";
    $("results").replaceChildren(make("p", { className: "blank" }, text));
    $("results-facts").textContent = "";
    return;
  }
  const { parents, operation, nfe, acceptance, seconds } = nodes[0];
  const from = parents.length ? ` from ${parents.join(" and ")}` : "";
  $("results-facts").textContent = [
    `${nodes.length} by ${label(operation)}${from}`, `${nfe} evaluations`,
    acceptance === null ? "" : `${percent(acceptance)} of steps taken`, `${seconds.toFixed(1)} s`,
  ].filter(Boolean).join(" · ");
  $("results").replaceChildren(...nodes.map((node, i) => cardOf(node, i, nodes.length)));
}

export const label = (operation) => (operation === "inpaint" ? "redraw" : operation);

function cardOf(node, i, n) {
  const parent = store.nodes.get(node.parents[0]);
  const isPicked = store.state.picked.includes(node.id);
  const shown = face(node.design, parent?.design);
  const name = `Design ${node.id}, ${i + 1} of ${n}, ${words(node)}${node.stars ? `, ${node.stars} stars` : ""}`;
  const pick = make("button", {
    className: "face", dataset: { id: node.id }, aria: { label: called(name, shown), pressed: isPicked },
    on: {
      click: (event) => (event.shiftKey || event.ctrlKey || event.metaKey ? choose(node) : pickNode(node)),
      keydown: roving,
    },
  }, shown);
  const box = make("input", {
    type: "checkbox", checked: store.chosen.has(node.id),
    aria: { label: `Tick design ${node.id} for blending or comparing` }, on: { change: () => choose(node) },
  });
  const star = make("button", {
    className: node.stars ? "on" : "", aria: { label: `Star design ${node.id}`, pressed: node.stars > 0 },
    on: { click: () => starNode(node) },
  }, icon(node.stars ? "star-on" : "star"));
  return make("div", { className: `card${isPicked ? " picked" : ""}` }, pick,
    make("div", { className: "under" }, box, share(node), star));
}

/** Arrow keys go through the results. */
function roving(event) {
  const all = [...$("results").querySelectorAll(".face")];
  const across = Math.max(1, all.filter((each) => each.offsetTop === all[0].offsetTop || each.parentElement.offsetTop === all[0].parentElement.offsetTop).length);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
  if (!step) return;
  event.preventDefault();
  event.stopPropagation();
  all[Math.max(0, Math.min(all.length - 1, all.indexOf(event.target) + step))].focus();
}

export async function pickNode(node) {
  const focused = document.activeElement?.dataset?.id;
  await change("/pick", { nodes: [node.id] }).catch((error) => say(error.message, true));
  if (focused) $("results").querySelector(`.face[data-id="${focused}"]`)?.focus();
}

export async function starNode(node) {
  await change(`/nodes/${node.id}`, { stars: node.stars ? 0 : 1 }, "PATCH").catch((error) => say(error.message, true));
}

export function choose(node) {
  if (store.chosen.has(node.id)) store.chosen.delete(node.id);
  else if (store.chosen.size < 16) store.chosen.add(node.id);
  else say("At most 16 can be ticked", true);
  tell();
}

// -- the film of a walk -----------------------------------------------------------------------------

function playFilm() {
  const faces = [...$("results").querySelectorAll(".card")];
  let at = 0;
  $("film").textContent = "Stop";
  film = setInterval(() => {
    faces.forEach((card, i) => card.classList.toggle("picked", i === at));
    faces[at].parentElement.scrollTo({ left: faces[at].offsetLeft - 60, behavior: "smooth" });
    document.dispatchEvent(new CustomEvent("film", { detail: store.nodes.get(store.shown.ids[at]) }));
    at = (at + 1) % faces.length;
  }, 260);
}

export function stopFilm() {
  if (!film) return;
  clearInterval(film);
  film = null;
  $("film").textContent = "Play strip";
  document.dispatchEvent(new CustomEvent("film", { detail: null }));
  tell();
}
