/** A column that has its width before its cells are known, so that rows can be printed as they come. */
export interface FixedColumn {
  readonly label: string;
  readonly width: number;
  /** Cuts what is longer; other columns let it stand and shift their line. */
  readonly isCut?: boolean;
}

/** The lines of a table of such columns, two blanks between each. */
export class FixedTable {
  readonly #columns: readonly FixedColumn[];

  constructor(columns: readonly FixedColumn[]) {
    this.#columns = columns;
  }

  header(): string {
    return this.row(this.#columns.map(({ label }) => label));
  }

  row(cells: readonly string[]): string {
    const line = this.#columns.map(({ width, isCut }, at) => {
      const cell = cells[at] ?? '';
      return (isCut === true ? shortened(cell, width) : cell).padEnd(width);
    });
    return `${line.join('  ').trimEnd()}\n`;
  }
}

function shortened(text: string, width: number): string {
  const characters = [...text];
  return characters.length <= width ? text : `${characters.slice(0, width - 1).join('')}…`;
}
