// Designs and masks from the base64 of their bytes.

function bytes(text) {
  const found = atob(text);
  const array = new Uint8Array(found.length);
  for (let i = 0; i < found.length; i++) array[i] = found.charCodeAt(i);
  return array;
}

/** Categories, row by row; one, two or four bytes each. */
export function design(text, categories) {
  const found = bytes(text);
  if (categories <= 1 << 8) return found;
  return categories <= 1 << 16 ? new Uint16Array(found.buffer) : new Uint32Array(found.buffer);
}

/** A mask, a byte a cell; null where nothing is locked. */
export function cells(text, count) {
  if (!text) return null;
  const found = bytes(text);
  const mask = new Uint8Array(count);
  for (let i = 0; i < count; i++) mask[i] = (found[i >> 3] >> (7 - (i & 7))) & 1;
  return mask;
}

/** How many of the open cells differ, in [0, 1]. */
export function changed(one, other, locked) {
  let differ = 0;
  let open = 0;
  for (let i = 0; i < one.length; i++) {
    if (locked && locked[i]) continue;
    open++;
    if (one[i] !== other[i]) differ++;
  }
  return open ? differ / open : 0;
}

export const percent = (share) =>
  share > 0 && share < 0.01 ? "under 1 %" : `${Math.round(100 * share)} %`;
