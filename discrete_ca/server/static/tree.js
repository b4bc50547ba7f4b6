// The tree: a row an operation, its designs side by side; what has grown from one hangs below it.

import { $, icon, make } from "./dom.js";
import { called, face, label, pickNode, words } from "./cards.js";
import { show, store } from "./store.js";

const BY_HAND = new Set(["paint", "lock", "unlock"]);
const faces = new Map(); // by node key: pictures are made once
const MOST = 1200;

let long = false;
let said = "";

export function setUp(grid) {
  long = grid.long;
  $("starred").addEventListener("change", render);
}

export function forget() {
  faces.clear();
  said = "";
}

export function render() {
  const nodes = [...store.nodes.values()];
  const facts = `${nodes.length} design${nodes.length === 1 ? "" : "s"}`;
  $("tree-facts").textContent = facts;
  const key = JSON.stringify([store.id, store.state.version, store.state.picked, $("starred").checked, nodes.length]);
  if (key === said) return;
  said = key;
  if (!nodes.length) return $("tree").replaceChildren(make("p", { className: "blank" }, "What you make grows here."));
  if ($("starred").checked) {
    const chosen = nodes.filter((node) => node.stars);
    return $("tree").replaceChildren(chosen.length ? row(chosen) : make("p", { className: "blank" }, "Star a design and it is kept here."));
  }
  const shown = new Set(nodes.slice(-MOST).map((node) => node.id));
  const children = new Map();
  for (const node of nodes) {
    if (!shown.has(node.id)) continue;
    const parent = node.parents[0] && shown.has(node.parents[0]) ? node.parents[0] : 0;
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(node);
  }
  $("tree").replaceChildren(branch(children, 0));
  reveal($("tree").querySelector(".leaf.picked"));
}

/** Scroll the panel, and never the page, to a leaf. */
function reveal(leaf) {
  const panel = $("tree").parentElement;
  if (!leaf || panel.scrollHeight <= panel.clientHeight) return;
  const place = leaf.getBoundingClientRect();
  const box = panel.getBoundingClientRect();
  if (place.top < box.top + 60 || place.bottom > box.bottom - 20) panel.scrollTop += place.top - box.top - box.height / 2;
}

/** What was made of a node: a row an operation. */
function branch(children, parent) {
  const batches = new Map();
  for (const node of children.get(parent) || []) {
    const key = parent ? node.batch : node.batch + node.id * (node.operation === "begin");
    if (!batches.has(key)) batches.set(key, []);
    batches.get(key).push(node);
  }
  return make("ul", {}, ...[...batches.values()].map((batch) => {
    let last = batch;
    let edits = 1;
    // one edit by hand after another is one row
    while (last.length === 1 && BY_HAND.has(last[0].operation)) {
      const next = children.get(last[0].id) || [];
      if (next.length !== 1 || !BY_HAND.has(next[0].operation)) break;
      last = next;
      edits++;
    }
    const name = edits > 1 ? `${edits} edits by hand` : label(last[0].operation);
    return make("li", {}, make("div", { className: "batch" }, name), row(last, children),
      ...last.filter((node) => children.has(node.id)).map((node) => branch(children, node.id)));
  }));
}

function row(nodes, children) {
  return make("div", { className: "leaves" }, ...nodes.map((node) => leaf(node, children?.has(node.id))));
}

function leaf(node, isParent) {
  if (!faces.has(node.key)) faces.set(node.key, face(node.design, store.nodes.get(node.parents[0])?.design));
  const isPicked = store.state.picked.includes(node.id);
  const text = `Design ${node.id}, ${label(node.operation)}, ${words(node)}${node.stars ? ", starred" : ""}${node.note ? `, ${node.note}` : ""}`;
  const star = node.stars ? icon("star-on") : null;
  star?.classList.add("star");
  return make("button", {
    className: `leaf${long ? " long" : ""}${isPicked ? " picked" : ""}${isParent ? " parent" : ""}`,
    title: text, aria: { label: called(text, faces.get(node.key)), ...(isPicked ? { current: "true" } : {}) },
    on: { click: () => {
      show(node);
      pickNode(node);
    } },
  }, faces.get(node.key), star);
}
