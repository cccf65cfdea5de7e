import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Node, Parser } from '@vscode/tree-sitter-wasm';

const require = createRequire(import.meta.url);
// not a module, so that its names are not seen by import
const treeSitter = require('@vscode/tree-sitter-wasm') as typeof import('@vscode/tree-sitter-wasm');
const grammar = join(dirname(require.resolve('@vscode/tree-sitter-wasm')), 'tree-sitter-powershell.wasm');
let parser: Promise<Parser> | null = null;

async function made(): Promise<Parser> {
  await treeSitter.Parser.init();
  const one = new treeSitter.Parser();
  one.setLanguage(await treeSitter.Language.load(grammar));
  return one;
}

export interface Command {
  readonly node: Node;
  readonly name: string;
  /** Without the dash, with what stands behind each. */
  readonly parameters: ReadonlyMap<string, Node | null>;
  readonly positional: readonly Node[];
}

type Functions = ReadonlyMap<string, { readonly node: Node; readonly parameters: readonly string[] }>;

/** A script of PowerShell as its grammar sees it: read, never run. */
export class PowerShellScript {
  readonly text: string;
  readonly root: Node;

  readonly #found = new Map<string, Node[]>();
  #functions: Functions | null = null;

  private constructor(text: string, root: Node) {
    this.text = text;
    this.root = root;
  }

  static async parse(text: string): Promise<PowerShellScript> {
    parser ??= made();
    const tree = (await parser).parse(text);
    if (tree === null) throw new Error('the parser gave up');
    return new PowerShellScript(text, tree.rootNode);
  }

  /** Nodes of these types, in the order of the text; `under` is not one of them. */
  all(types: string | string[], under: Node = this.root): Node[] {
    const key = `${under.id} ${types}`;
    const known = this.#found.get(key);
    if (known !== undefined) return known;
    const found = under
      .descendantsOfType(types)
      .flatMap((node) => (node === null || node.id === under.id ? [] : [node]));
    this.#found.set(key, found);
    return found;
  }

  commands(under: Node = this.root): Command[] {
    return this.all('command', under).map(commandOf);
  }

  /** Functions by their name, with the names of their parameters. */
  functions(): Functions {
    this.#functions ??= new Map(
      this.all('function_statement').map((node) => {
        const name = this.all('function_name', node)[0]?.text ?? '';
        const block = this.all('param_block', node)[0];
        const parameters = block === undefined ? [] : this.all('script_parameter', block).map(parameterName);
        return [name, { node, parameters }];
      }),
    );
    return this.#functions;
  }
}

/** Itself and everything below it. */
export function nodes(under: Node): Node[] {
  return [under, ...under.children.flatMap((child) => (child === null ? [] : nodes(child)))];
}

export function isInside(node: Node, outer: Node): boolean {
  return outer.startIndex <= node.startIndex && node.endIndex <= outer.endIndex;
}

/** The nearest node of the type that this one is in, or `null`. */
export function around(node: Node, type: string): Node | null {
  for (let at = node.parent; at !== null; at = at.parent) if (at.type === type) return at;
  return null;
}

export function line(node: Node): number {
  return node.startPosition.row + 1;
}

function commandOf(node: Node): Command {
  const name = node.children.find((child) => child?.type === 'command_name')?.text ?? '';
  const elements = node.children.find((child) => child?.type === 'command_elements');
  const parameters = new Map<string, Node | null>();
  const positional: Node[] = [];
  let open: string | null = null;
  for (const child of elements?.children ?? []) {
    if (child === null || child.type === 'command_argument_sep') continue;
    if (child.type === 'command_parameter') {
      open = child.text.slice(1);
      parameters.set(open, null);
    } else if (open === null) positional.push(child);
    else {
      parameters.set(open, child);
      open = null;
    }
  }
  return { node, name, parameters, positional };
}

function parameterName(node: Node): string {
  return (
    nodes(node)
      .find((one) => one.type === 'variable')
      ?.text.slice(1) ?? ''
  );
}
