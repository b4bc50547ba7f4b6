// What the canvas shows of a design, and which cells a touch means: pictures and piano rolls.

import { colour } from "./dom.js";

function rgb(name) {
  const hex = colour(name).slice(1);
  const full = hex.length === 3 ? [...hex].map((c) => c + c).join("") : hex;
  return [0, 2, 4].map((i) => parseInt(full.slice(i, i + 2), 16));
}

/** Pictures (H, W) of K grey levels, or (3, H, W) in colour. */
export class Picture {
  constructor(model) {
    this.K = model.num_categories;
    this.channels = model.shape.length === 3 ? 3 : 1;
    [this.rows, this.columns] = model.shape.slice(-2);
    this.long = false;
    this.themed();
  }

  /** Of two categories the theme's paper and ink; more are light, as in the pictures read. */
  themed() {
    const [first, last] = this.K === 2 ? [rgb("--paper"), rgb("--ink")] : [[0, 0, 0], [255, 255, 255]];
    this.shades = Array.from({ length: Math.min(this.K, 4096) }, (_, k) =>
      first.map((p, i) => Math.round(p + ((last[i] - p) * k) / (this.K - 1))));
  }

  colourOf(design, site) {
    if (this.channels === 1) return this.shades[design[site]];
    const step = this.rows * this.columns;
    return [0, 1, 2].map((c) => Math.round((255 * design[site + c * step]) / (this.K - 1)));
  }

  swatch(value) {
    const [r, g, b] = this.channels === 1 ? this.shades[value] : value.map((v) => (255 * v) / (this.K - 1));
    return `rgb(${r}, ${g}, ${b})`;
  }

  /** A small picture, a pixel a cell. */
  face(design, canvas = document.createElement("canvas")) {
    canvas.width = this.columns;
    canvas.height = this.rows;
    const context = canvas.getContext("2d");
    const image = context.createImageData(this.columns, this.rows);
    for (let site = 0; site < this.rows * this.columns; site++) {
      image.data.set([...this.colourOf(design, site), 255], 4 * site);
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  /** The cells of a place: one, or one a channel. */
  cellsAt(x, y) {
    const site = y * this.columns + x;
    const step = this.rows * this.columns;
    return Array.from({ length: this.channels }, (_, c) => site + c * step);
  }

  valuesAt(x, y, value) {
    return this.channels === 1 ? [value] : value;
  }

  same(design, one, other) {
    return this.cellsAt(...one).every((cell, i) => design[cell] === design[this.cellsAt(...other)[i]]);
  }

  draw(context, design, cell) {
    for (let y = 0; y < this.rows; y++) {
      for (let x = 0; x < this.columns; x++) {
        const [r, g, b] = this.colourOf(design, y * this.columns + x);
        context.fillStyle = `rgb(${r}, ${g}, ${b})`;
        context.fillRect(x * cell[0], y * cell[1], cell[0], cell[1]);
      }
    }
  }

  says(design, x, y) {
    return `row ${y + 1}, column ${x + 1}: ${this.cellsAt(x, y).map((c) => design[c]).join(", ")}`;
  }
}

const VOICES = ["--voice-1", "--voice-2", "--voice-3", "--voice-4"];
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

/** Voices (C, T) of pitches: time to the right, high notes above, rests in the lowest row. */
export class Roll {
  constructor(model) {
    [this.voices, this.columns] = model.shape;
    this.pitches = model.pitches;
    this.K = model.num_categories;
    const heard = model.pitches.filter((p) => p >= 0);
    this.high = Math.max(...heard);
    this.low = Math.min(...heard);
    this.rest = model.pitches.indexOf(-1);
    this.rows = this.high - this.low + 1 + (this.rest >= 0 ? 1 : 0);
    this.voice = 0;
    this.long = true;
  }

  themed() {}

  colour(voice) {
    return colour(VOICES[voice % VOICES.length]);
  }

  rowOf(category) {
    const pitch = this.pitches[category];
    return pitch < 0 ? this.rows - 1 : this.high - pitch;
  }

  face(design, canvas = document.createElement("canvas")) {
    canvas.width = this.columns * 4;
    canvas.height = this.rows * 2;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    this.draw(context, design, [4, 2]);
    return canvas;
  }

  cellsAt(x) {
    return [this.voice * this.columns + x];
  }

  valuesAt(x, y) {
    const pitch = this.high - y;
    const found = pitch < this.low ? this.rest : this.pitches.indexOf(pitch);
    return [Math.max(0, found)];
  }

  same(design, one, other) {
    return design[this.cellsAt(one[0])[0]] === design[this.cellsAt(other[0])[0]];
  }

  draw(context, design, cell) {
    context.fillStyle = colour("--paper");
    context.fillRect(0, 0, this.columns * cell[0], this.rows * cell[1]);
    context.fillStyle = colour("--ground");
    for (let y = 0; y < this.high - this.low + 1; y++) {
      if ([1, 3, 6, 8, 10].includes((this.high - y) % 12)) {
        context.fillRect(0, y * cell[1], this.columns * cell[0], cell[1]);
      }
    }
    for (let voice = 0; voice < this.voices; voice++) {
      context.fillStyle = this.colour(voice);
      for (let t = 0; t < this.columns; t++) {
        const k = design[voice * this.columns + t];
        if (this.pitches[k] < 0) continue;
        const held = t > 0 && design[voice * this.columns + t - 1] === k;
        const gap = held ? 0 : Math.max(1, cell[0] * 0.12);
        context.fillRect(t * cell[0] + gap, this.rowOf(k) * cell[1], cell[0] - gap + 0.5, cell[1]);
      }
    }
  }

  says(design, x) {
    const notes = Array.from({ length: this.voices }, (_, v) => {
      const pitch = this.pitches[design[v * this.columns + x]];
      return pitch < 0 ? "rest" : NAMES[pitch % 12] + (Math.floor(pitch / 12) - 1);
    });
    return `step ${x + 1}: ${notes.join(", ")}`;
  }
}
