// Text and other rows of categories: a view of tokens with locked and marked spans.

import { make, say } from "./dom.js";

const visible = (text) => text.replace(/\n/g, "⏎\n").replace(/\t/g, "⇥");

export class Words {
  constructor(model) {
    this.tokens = model.tokens;
    this.K = model.num_categories;
    this.count = model.shape.reduce((a, b) => a * b, 1);
    this.long = true;
    this.byText = new Map((model.tokens || []).map((text, k) => [text, k]).reverse());
  }

  themed() {}

  word(k) {
    return this.tokens ? this.tokens[k] ?? `‹${k}›` : String(k);
  }

  /** A snippet; tokens that differ from another design are set off. */
  face(design, old, base) {
    const parts = [];
    const space = this.tokens ? "" : " ";
    const most = Math.min(design.length, 400);
    for (let i = 0; i < most; i++) {
      const differs = base && base[i] !== design[i];
      const last = parts.at(-1);
      if (last && last.differs === differs) last.text += space + this.word(design[i]);
      else parts.push({ differs, text: (i ? space : "") + this.word(design[i]) });
    }
    return make("span", { className: "words-face" },
      ...parts.map(({ differs, text }) => make(differs ? "mark" : "span", {}, text)));
  }

  /** Categories of a typed text, the longest token first; null where one is not known. */
  encode(text) {
    const found = [];
    for (let at = 0; at < text.length;) {
      let length = Math.min(24, text.length - at);
      while (length && !this.byText.has(text.slice(at, at + length))) length--;
      if (!length) return null;
      found.push(this.byText.get(text.slice(at, at + length)));
      at += length;
    }
    return found;
  }
}

export class WordsEditor {
  constructor(host, words, hand, onStroke, onPlace) {
    Object.assign(this, { words, hand, onStroke, onPlace });
    this.grid = words;
    this.marked = new Set();
    this.typed = new Map();
    this.at = 0;
    this.element = make("div", {
      className: "tokens", tabIndex: 0,
      aria: { role: "textbox", multiline: "true", label: "Tokens of the design. Arrow keys move, Shift with arrows spans, Enter applies the tool; in Paint, typing replaces." },
      on: {
        pointerdown: (event) => this.down(event),
        pointermove: (event) => this.over(event),
        pointerup: () => this.up(),
        pointercancel: () => this.drop(),
        keydown: (event) => this.key(event),
        blur: () => this.commit(),
      },
    });
    host.replaceChildren(this.element);
  }

  show(design, locked) {
    if (design !== this.design) this.typed.clear(); // what is typed outlasts the end of a drawing
    Object.assign(this, { design, locked });
    this.draw();
  }

  draw() {
    if (!this.design) return;
    const span = this.span ? [...this.span].sort((a, b) => a - b) : null;
    const children = [];
    for (let i = 0; i < this.design.length; i++) {
      const k = this.typed.get(i) ?? this.design[i];
      const token = make("span", { dataset: { i }, title: this.words.tokens ? "" : `cell ${i}` }, visible(this.words.word(k)) || "∅");
      const inSpan = span && i >= span[0] && i <= span[1];
      const unlocking = inSpan && this.hand.mode === "lock" && this.hand.erase;
      if ((this.locked?.[i] && !unlocking) || (inSpan && this.hand.mode === "lock" && !this.hand.erase)) token.classList.add("locked");
      if (this.marked.has(i) || (inSpan && this.hand.mode !== "lock")) token.classList.add("marked");
      if (!this.words.tokens) token.classList.add("number");
      if (i === this.at) token.classList.add("here");
      children.push(token);
    }
    this.element.replaceChildren(...children);
  }

  indexAt(event) {
    const found = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-i]");
    return found && this.element.contains(found) ? Number(found.dataset.i) : null;
  }

  down(event) {
    const at = this.indexAt(event);
    if (at === null) return;
    event.preventDefault();
    this.commit();
    this.element.focus({ preventScroll: true });
    this.at = at;
    this.span = [at, at];
    this.draw();
  }

  over(event) {
    const at = this.indexAt(event);
    if (!this.span || at === null) return;
    this.span[1] = this.at = at;
    this.draw();
  }

  up() {
    const span = this.span;
    this.span = null;
    if (!span || this.hand.mode === "paint") {
      this.tell();
      return this.draw();
    }
    this.apply(span);
  }

  drop() {
    this.span = null;
    this.draw();
  }

  apply(span) {
    const [from, to] = [...span].sort((a, b) => a - b);
    const cells = [];
    for (let i = from; i <= to; i++) {
      const locked = Boolean(this.locked?.[i]);
      if (this.hand.mode === "lock" ? locked === this.hand.erase : !locked) cells.push(i);
    }
    if (cells.length) this.onStroke(this.hand.mode, cells, cells.map(() => 0), this.hand.erase);
    this.draw();
  }

  /** Put categories at the cursor and go on after them; locked cells stay. */
  write(categories) {
    for (const k of categories) {
      if (this.at >= this.design.length) break;
      if (!this.locked?.[this.at]) this.typed.set(this.at, k);
      this.at = Math.min(this.design.length - 1, this.at + 1);
    }
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.commit(), 900);
    this.draw();
  }

  commit() {
    clearTimeout(this.waiting);
    if (!this.typed.size) return;
    const cells = [...this.typed.keys()];
    const values = [...this.typed.values()];
    this.typed.clear();
    this.onStroke("paint", cells, values, false);
  }

  key(event) {
    if (!this.design || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -16, ArrowDown: 16, Home: -1e9, End: 1e9 }[event.key];
    if (step) {
      const before = this.at;
      this.at = Math.max(0, Math.min(this.design.length - 1, this.at + step));
      if (event.shiftKey) this.span = [this.span ? this.span[0] : before, this.at];
      else this.span = null;
      this.tell();
    } else if (event.key === "Enter") {
      if (this.hand.mode === "paint") this.commit();
      else {
        this.apply(this.span || [this.at, this.at]);
        this.span = null;
      }
    } else if (event.key === "Escape") this.drop();
    else if (event.key.length === 1 && this.hand.mode === "paint" && this.words.tokens) {
      // whoever writes gives no commands, also where a letter is none of the model's
      const category = this.words.byText.get(event.key);
      if (category === undefined) say(`The model does not know “${event.key}”`, true);
      else this.write([category]);
    } else return;
    event.preventDefault();
    event.stopPropagation();
    this.draw();
  }

  tell() {
    const word = JSON.stringify(this.words.word(this.design[this.at]));
    this.onPlace(`cell ${this.at + 1} of ${this.design.length}: ${word}${this.locked?.[this.at] ? ", locked" : ""}`);
  }
}
