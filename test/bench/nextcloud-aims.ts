export const sides = ['none', 'stock', 'latchkey'] as const;
export type Side = (typeof sides)[number];

/** Ways to read a file: WebDAV without and with a session, a public link, `occ files:get`. */
export const doors = ['dav', 'session', 'link', 'occ'] as const;
export type Door = (typeof doors)[number];

/** Milliseconds. */
export type Medians = Readonly<Record<Side, number>>;

export interface Aim {
  readonly words: string;
  readonly met: boolean;
}

/** What is promised of each door. */
export function aims(door: Door, { none, stock, latchkey }: Medians): readonly Aim[] {
  if (door === 'dav') {
    return [
      { words: 'within 1.05 of no encryption', met: latchkey <= none * 1.05 },
      { words: '3.5 times faster than stock', met: stock >= latchkey * 3.5 },
    ];
  }
  if (door === 'session') return [{ words: 'within 1.05 of stock', met: latchkey <= stock * 1.05 }];
  return [{ words: 'faster than stock', met: latchkey < stock }];
}
