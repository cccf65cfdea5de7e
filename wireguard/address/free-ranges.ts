/** Offsets that are free, both ends included. Ranges of a pool never touch: they would be one. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** What changes in the set of free ranges. */
export interface RangeChange {
  readonly remove: readonly Range[];
  readonly add: readonly Range[];
}

/** The free ranges of a pool from which nothing was handed out but `taken`, which must be sorted. */
export function initialRanges(first: number, last: number, taken: readonly number[]): Range[] {
  const ranges: Range[] = [];
  let start = first;
  for (const offset of taken) {
    if (offset > start) ranges.push({ start, end: offset - 1 });
    start = offset + 1;
  }
  if (start <= last) ranges.push({ start, end: last });
  return ranges;
}

/** Takes one offset out of the range it lies in. */
export function take(range: Range, offset: number): RangeChange {
  if (offset < range.start || offset > range.end) throw new TypeError('the offset is not in the range');
  const add: Range[] = [];
  if (offset > range.start) add.push({ start: range.start, end: offset - 1 });
  if (offset < range.end) add.push({ start: offset + 1, end: range.end });
  return { remove: [range], add };
}

/**
 * Gives one offset back. `below` and `above` are the free ranges nearest to it; null where there is none. Throws TypeError
 * for one that was free already: two peers would get it.
 */
export function giveBack(offset: number, below: Range | null, above: Range | null): RangeChange {
  if ((below !== null && below.end >= offset) || (above !== null && above.start <= offset)) {
    throw new TypeError('the offset is free already');
  }
  const joinsBelow = below !== null && below.end === offset - 1;
  const joinsAbove = above !== null && above.start === offset + 1;
  return {
    remove: [...(joinsBelow ? [below] : []), ...(joinsAbove ? [above] : [])],
    add: [{ start: joinsBelow ? below.start : offset, end: joinsAbove ? above.end : offset }],
  };
}
