/** The times a picture may show. */
export const ranges = {
  '24h': { words: '24 hours', span: 86_400_000, columns: 96, tick: 6 * 3_600_000, tickLabel: 'hour' },
  '7d': { words: '7 days', span: 7 * 86_400_000, columns: 84, tick: 86_400_000, tickLabel: 'day' },
  '30d': { words: '30 days', span: 30 * 86_400_000, columns: 90, tick: 5 * 86_400_000, tickLabel: 'day' },
} as const;

export type RangeName = keyof typeof ranges;
export const rangeNames = ['24h', '7d', '30d'] as const satisfies readonly RangeName[];

export function isRangeName(text: string): text is RangeName {
  return Object.hasOwn(ranges, text);
}
