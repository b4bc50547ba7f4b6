// The session as the page knows it. What the server said is on disk; nothing else is kept here but
// what is chosen and shown.

import * as api from "./api.js";
import { cells, design } from "./arrays.js";

export const store = {
  model: null,
  id: null,
  nodes: new Map(),
  state: { picked: [], can_undo: false, can_redo: false, version: -1 },
  shown: { ids: [], operation: "" }, // the results
  chosen: new Set(), // for blending and comparing
  drawing: null,
};

const listeners = [];
export const onChange = (listener) => listeners.push(listener);
export const tell = () => listeners.forEach((listener) => listener());

export const path = (rest) => `sessions/${store.id}${rest}`;
export const picked = () => store.nodes.get(store.state.picked[0]) || null;

/** What a class is called. */
export const className = (label) => store.model.label_names?.[label] ?? String(label);

/** Which beginning a design goes back to, by first parents; what one drawing made from noise is one beginning. */
export function beginning(node) {
  let root = node;
  while (store.nodes.has(root.parents[0])) root = store.nodes.get(root.parents[0]);
  return `${store.id}/${root.batch}`;
}

const sites = () => store.model.shape.reduce((a, b) => a * b, 1);

function take(node) {
  const found = {
    ...node,
    key: `${store.id}/${node.id}`, // ids count from 1 in every session
    design: design(node.design, store.model.num_categories),
    locked: cells(node.locked, sites()),
  };
  store.nodes.set(node.id, found);
  return found;
}

/** What an answer brings: new or changed nodes, and where the session stands. */
export function accept(news) {
  const found = (news.nodes || []).map(take);
  for (const id of news.gone || []) {
    store.nodes.delete(id);
    store.chosen.delete(id);
  }
  store.shown.ids = store.shown.ids.filter((id) => store.nodes.has(id));
  if (news.state) store.state = news.state;
  tell();
  return found;
}

export async function change(rest, body, method = "POST") {
  return accept(await api.call(method, path(rest), body));
}

/** Read the whole session. */
export async function open(id) {
  const nodes = [];
  const state = await api.call("GET", `sessions/${id}`);
  for (let after = 0, more = true; more;) {
    const part = await api.call("GET", `sessions/${id}/nodes?after=${after}`);
    nodes.push(...part.nodes);
    more = part.more;
    after = part.nodes.at(-1)?.id ?? after;
  }
  const before = store.id === id ? store.shown : null;
  store.id = id;
  store.nodes.clear();
  store.chosen.clear();
  nodes.forEach(take);
  store.state = state;
  store.shown = before?.ids.every((each) => store.nodes.has(each)) && before.ids.length ? before : latest();
  localStorage.setItem(`session of ${store.model.name}`, id);
  location.hash = `s=${id}`;
  tell();
}

export async function create() {
  const { id } = await api.call("POST", "sessions", {});
  await open(id);
}

/** Another tab may have gone on. */
export async function refresh() {
  if (!store.id || store.drawing) return;
  const state = await api.call("GET", path(""));
  if (state.version !== store.state.version || state.next_id !== store.state.next_id) await open(store.id);
}

const DRAWN = new Set(["variants", "walk", "inpaint", "blend", "noise", "sketch", "propose"]);
export const isDrawn = (node) => DRAWN.has(node.operation);

export function siblings(node) {
  return [...store.nodes.values()].filter((other) => other.batch === node.batch && String(other.parents) === String(node.parents));
}

function latest() {
  const last = [...store.nodes.values()].filter(isDrawn).at(-1);
  return last ? { ids: siblings(last).map((n) => n.id), operation: last.operation } : { ids: [], operation: "" };
}

export function show(node) {
  store.shown = { ids: siblings(node).map((n) => n.id), operation: node.operation };
}
