// The canvas on which a design is painted, locked and marked: mouse, touch, pen and keys.

import { colour, make } from "./dom.js";

export class Canvas {
  /**
   * @param host where it goes.
   * @param grid what it shows: a Picture or a Roll.
   * @param hand the tool in hand: {mode, tool, erase, value, brush}.
   * @param onStroke called with (mode, cells, values, erase) when a stroke has ended.
   * @param onPlace called with words for the cell under the cursor.
   */
  constructor(host, grid, hand, onStroke, onPlace) {
    Object.assign(this, { grid, hand, onStroke, onPlace });
    this.design = null;
    this.locked = null;
    this.marked = new Set();
    this.stroke = null; // cells of the stroke that is being drawn, with their values
    this.at = [0, 0];
    this.host = host;
    this.element = make("canvas", {
      tabIndex: 0,
      aria: { role: "application", roledescription: "design", label: "Design. Arrow keys move, Space draws, question mark lists the keys." },
      on: {
        pointerdown: (event) => this.down(event),
        pointermove: (event) => this.move(event),
        pointerup: () => this.up(),
        pointercancel: () => this.drop(),
        contextmenu: (event) => event.preventDefault(),
        keydown: (event) => this.key(event),
        focus: () => this.draw(),
        blur: () => this.draw(),
      },
    });
    host.replaceChildren(this.element);
    this.scale();
    new ResizeObserver(() => this.scale()).observe(host);
  }

  /** Whole screen pixels a cell, as many as fit: lines stay even. */
  scale() {
    const { columns, rows, long } = this.grid;
    const fine = window.devicePixelRatio || 1;
    const wide = Math.max(1, Math.floor(((this.host.clientWidth - 2) * fine) / columns));
    const high = Math.max(1, Math.floor((Math.min(560, 0.62 * window.innerHeight) * fine) / rows));
    this.cell = long ? [wide, Math.max(2, Math.min(high, Math.round(9 * fine)))] : [Math.min(wide, high), Math.min(wide, high)];
    [this.element.width, this.element.height] = [columns * this.cell[0], rows * this.cell[1]];
    this.element.style.width = `${this.element.width / fine}px`;
    this.element.style.height = `${this.element.height / fine}px`;
    this.draw();
  }

  show(design, locked) {
    Object.assign(this, { design, locked });
    if (this.said) this.tell(this.at);
    this.draw();
  }

  // -- drawing ------------------------------------------------------------------------------------

  draw() {
    if (!this.design) return;
    const { element, grid, cell } = this;
    const size = [element.width, element.height];
    const context = element.getContext("2d");
    grid.draw(context, this.shown(), cell);
    this.lines(context, size);
    const painting = this.stroke && this.hand.mode === "paint";
    this.overlay(context, (i) => this.locked?.[i] && !(this.stroke?.has(i) && this.hand.mode === "lock" && this.hand.erase), false);
    this.overlay(context, (i) => this.marked.has(i), true);
    if (this.stroke && !painting) this.overlay(context, (i) => this.stroke.has(i), this.hand.mode === "mark");
    if (document.activeElement === element) this.outline(context, this.at);
  }

  shown() {
    if (!this.stroke || this.hand.mode !== "paint") return this.design;
    const found = this.design.slice();
    for (const [cell, value] of this.stroke) found[cell] = value;
    return found;
  }

  lines(context, [width, height]) {
    const { cell, grid } = this;
    if (cell[0] < 7) return;
    context.strokeStyle = "#8883";
    context.lineWidth = 1;
    context.beginPath();
    const every = grid.long ? 16 : 1;
    for (let x = every; x < grid.columns; x += every) {
      context.moveTo(x * cell[0] + 0.5, 0);
      context.lineTo(x * cell[0] + 0.5, height);
    }
    if (!grid.long) {
      for (let y = 1; y < grid.rows; y++) {
        context.moveTo(0, y * cell[1] + 0.5);
        context.lineTo(width, y * cell[1] + 0.5);
      }
    }
    context.stroke();
  }

  /** Cells with something on them: locked ones tinted, marked ones hatched; not by colour alone. */
  overlay(context, has, hatched) {
    const { grid, cell: [w, h] } = this;
    context.save();
    // notes have colours of their own, so that what lies on them is ink
    context.fillStyle = context.strokeStyle = colour(grid.long ? "--text" : "--accent");
    context.lineWidth = Math.max(1, w / 12);
    for (let y = 0; y < grid.rows; y++) {
      for (let x = 0; x < grid.columns; x++) {
        const cells = this.cellsOn(x, y);
        if (!cells.some(has)) continue;
        context.globalAlpha = hatched || grid.long ? 0.16 : 0.38;
        context.fillRect(x * w, y * h, w, h);
        context.globalAlpha = 0.9;
        context.beginPath();
        if (hatched) {
          context.moveTo(x * w, y * h + h);
          context.lineTo(x * w + w, y * h);
          context.stroke();
        } else {
          const r = Math.max(1, Math.min(w, h) / (grid.long ? 4 : 9));
          context.arc(x * w + w / 2, y * h + h / 2, r, 0, 7);
          context.fill();
        }
      }
    }
    context.restore();
  }

  /** Cells that are shown at a place. */
  cellsOn(x, y) {
    if (!this.grid.long) return this.grid.cellsAt(x, y);
    const found = [];
    for (let v = 0; v < this.grid.voices; v++) {
      const cell = v * this.grid.columns + x;
      if (this.grid.rowOf(this.design[cell]) === y) found.push(cell);
    }
    return found;
  }

  outline(context, [x, y]) {
    const [w, h] = this.cell;
    for (const [style, width] of [["#fff", 5], [colour("--accent"), 2.5]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.strokeRect(x * w, y * h, w, h);
    }
  }

  // -- touching -----------------------------------------------------------------------------------

  place(event) {
    const box = this.element.getBoundingClientRect();
    const { columns, rows } = this.grid;
    const x = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const y = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return [Math.max(0, Math.min(columns - 1, x)), Math.max(0, Math.min(rows - 1, y))];
  }

  down(event) {
    if (!this.design || (event.pointerType === "mouse" && event.button > 2)) return;
    event.preventDefault();
    this.element.focus({ preventScroll: true });
    this.element.setPointerCapture(event.pointerId);
    this.begin(this.place(event));
  }

  move(event) {
    const place = this.place(event);
    if (place[0] !== this.at[0] || place[1] !== this.at[1] || !this.said) this.tell(place);
    if (!this.stroke) return;
    for (const each of event.getCoalescedEvents?.() || [event]) this.go(this.place(each));
  }

  up() {
    if (this.stroke) this.end();
  }

  drop() {
    this.stroke = null;
    this.draw();
  }

  begin(place) {
    this.stroke = new Map();
    this.from = this.last = place;
    if (this.hand.tool === "fill") this.flood(place);
    else this.go(place);
  }

  /** Draw on to a place: a line of brushes, or the rectangle from where the stroke began. */
  go(place) {
    this.at = place;
    if (this.hand.tool === "rectangle") {
      this.stroke.clear();
      const [x0, x1] = [this.from[0], place[0]].sort((a, b) => a - b);
      const [y0, y1] = [this.from[1], place[1]].sort((a, b) => a - b);
      for (let y = y0; y <= y1; y++) for (let x = x0; x <= x1; x++) this.touch(x, this.grid.long ? this.from[1] : y);
    } else if (this.hand.tool === "brush") {
      const steps = Math.max(1, Math.abs(place[0] - this.last[0]), Math.abs(place[1] - this.last[1]));
      for (let i = 0; i <= steps; i++) {
        const x = Math.round(this.last[0] + ((place[0] - this.last[0]) * i) / steps);
        const y = Math.round(this.last[1] + ((place[1] - this.last[1]) * i) / steps);
        this.dab(x, y);
      }
    }
    this.last = place;
    this.draw();
  }

  dab(x, y) {
    const size = this.grid.long ? 1 : this.hand.brush;
    const low = -Math.floor((size - 1) / 2);
    for (let dy = low; dy < low + size; dy++) for (let dx = low; dx < low + size; dx++) this.touch(x + dx, y + dy);
  }

  touch(x, y) {
    if (x < 0 || y < 0 || x >= this.grid.columns || y >= this.grid.rows) return;
    const cells = this.grid.cellsAt(x, y);
    const values = this.grid.valuesAt(x, y, this.hand.erase && !this.grid.long ? this.grid.blank : this.hand.value);
    cells.forEach((cell, i) => {
      const locked = this.locked?.[cell];
      if (this.hand.mode !== "lock" && locked) return;
      if (this.hand.mode === "lock" && Boolean(locked) !== this.hand.erase) return;
      this.stroke.set(cell, values[i]);
    });
  }

  /** The region of one category around a place. */
  flood(start) {
    const { columns, rows, long } = this.grid;
    const seen = new Set([start.join()]);
    const open = [start];
    while (open.length) {
      const [x, y] = open.pop();
      this.touch(x, y);
      for (const [dx, dy] of long ? [[1, 0], [-1, 0]] : [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        const next = [x + dx, y + dy];
        if (next[0] < 0 || next[1] < 0 || next[0] >= columns || next[1] >= rows || seen.has(next.join())) continue;
        if (!this.grid.same(this.design, start, next)) continue;
        seen.add(next.join());
        open.push(next);
      }
    }
    this.draw();
  }

  end() {
    const stroke = this.stroke;
    this.stroke = null;
    if (stroke.size) this.onStroke(this.hand.mode, [...stroke.keys()], [...stroke.values()], this.hand.erase);
    this.draw();
  }

  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!this.design || event.ctrlKey || event.metaKey || event.altKey) return;
    if (step) {
      const by = event.shiftKey ? 5 : 1;
      const { columns, rows } = this.grid;
      const place = [
        Math.max(0, Math.min(columns - 1, this.at[0] + by * step[0])),
        Math.max(0, Math.min(rows - 1, this.at[1] + by * step[1])),
      ];
      this.tell(place);
      if (this.stroke) this.go(place);
    } else if (event.key === " ") {
      // a rectangle begins with one press and ends with the next
      if (this.hand.tool === "rectangle" && !this.stroke) this.begin(this.at);
      else if (this.stroke) this.end();
      else {
        this.begin(this.at);
        this.end();
      }
    } else if (event.key === "Escape" && this.stroke) this.drop();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.draw();
  }

  tell(place) {
    this.at = place;
    this.said = true;
    if (!this.design) return;
    const locked = this.cellsOn(...place).some((cell) => this.locked?.[cell]);
    this.onPlace(this.grid.says(this.design, ...place) + (locked ? ", locked" : ""));
    if (document.activeElement === this.element && !this.stroke) this.draw();
  }
}
