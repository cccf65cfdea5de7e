/** How bad it is, the least first. */
export type NoticeSeverity = 'info' | 'warning' | 'critical';

/** What goes out by a channel at once. */
export interface Notice {
  /** The same when the same has to be sent again, so that a receiver may drop what it has. */
  readonly id: string;
  /** Who tells, for owners of several. */
  readonly server: string;
  readonly severity: NoticeSeverity;
  /** One line. */
  readonly title: string;
  /** Several lines of plain text. */
  readonly text: string;
  /** What it is made of, for programs. */
  readonly alerts: readonly object[];
}
