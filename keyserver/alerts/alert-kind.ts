import type { AlertEvent, AlertFacts, Severity } from './alert-schema.ts';

/** What a person reads, the same on every channel. */
export interface AlertTexts {
  readonly severity: Severity;
  /** One line. */
  readonly title: string;
  readonly happened: string;
  /** What Latchkey did by itself. */
  readonly done: string;
  /** What the owner can do. */
  readonly todo: string;
}

export type Facts<E extends AlertEvent> = Extract<AlertFacts, { event: E }>;

/** How a kind of alert is sorted and told. */
export interface Kind<E extends AlertEvent> {
  readonly severity: (facts: Facts<E>) => Severity;
  /**
   * What makes two of them the same thing happening again, besides event and client; such are only counted for
   * `quiet` milliseconds. `null`: each is news.
   */
  readonly same: (facts: Facts<E>) => { readonly cause: string; readonly quiet: number } | null;
  readonly texts: (facts: Facts<E>) => Omit<AlertTexts, 'severity'>;
}

export type Kinds = { readonly [E in AlertEvent]: Kind<E> };

/** Milliseconds. */
export const hour = 3_600_000;
export const day = 86_400_000;
