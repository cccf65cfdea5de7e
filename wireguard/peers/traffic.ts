/** Bytes that a peer has moved, over all the lives of its interface. */
export interface Traffic {
  /** Totals. */
  readonly rx: number;
  readonly tx: number;
  /** What the interface showed when it was looked at last. */
  readonly seenRx: number;
  readonly seenTx: number;
}

/** Pure: the totals after another look. A counter that fell began again at zero, with the interface. */
export function trafficAfter(before: Traffic, live: { readonly rx: number; readonly tx: number }): Traffic {
  return {
    rx: before.rx + grown(before.seenRx, live.rx),
    tx: before.tx + grown(before.seenTx, live.tx),
    seenRx: live.rx,
    seenTx: live.tx,
  };
}

function grown(before: number, now: number): number {
  return now >= before ? now - before : now;
}
