/** A time as every text writes it. */
export function when(at: number | null): string {
  return at === null ? 'never' : new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

/** The end of a sentence, where there is a reason. */
export function because(reason: string | null): string {
  return reason === null || reason === '' ? '' : `: ${reason}`;
}
