import { createHash } from 'node:crypto';
import type { ProductionPackage } from './production-packages.ts';

/** What a bill of materials is of. */
export interface SbomFacts {
  readonly version: string;
  /** SPDX identifier. */
  readonly license: string;
  readonly description: string;
  /** Unix seconds. */
  readonly time: number;
  /** The Node that it runs on. */
  readonly node: { readonly version: string; readonly within: boolean };
  readonly packages: readonly ProductionPackage[];
  /** Paths of those that it asks for itself. */
  readonly needs: readonly string[];
}

interface Component {
  readonly type: 'library' | 'platform';
  readonly 'bom-ref': string;
  readonly group?: string;
  readonly name: string;
  readonly version: string;
  readonly scope: 'required' | 'excluded';
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
  readonly licenses: readonly unknown[];
  readonly purl: string;
}

/**
 * The bill of materials as CycloneDX 1.6 JSON (ECMA-424): what is in a release, under which license, and the hash of each package's
 * archive at the registry. The same text for the same facts.
 */
export function sbomText(facts: SbomFacts): string {
  const { version, node } = facts;
  const own = `pkg:npm/latchkey@${version}`;
  const refs = new Map(facts.packages.map((one) => [one.path, refOf(one)]));
  const dependsOn = (paths: readonly string[]): string[] => paths.map((path) => refs.get(path) as string);
  const runtime: Component = {
    type: 'platform',
    'bom-ref': `pkg:generic/node@${node.version}`,
    name: 'node',
    version: node.version,
    // it may be the machine's own
    scope: node.within ? 'required' : 'excluded',
    licenses: [{ license: { id: 'MIT' } }],
    purl: `pkg:generic/node@${node.version}`,
  };
  const body = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      timestamp: new Date(facts.time * 1000).toISOString(),
      lifecycles: [{ phase: 'build' }],
      component: {
        type: 'application',
        'bom-ref': own,
        name: 'latchkey',
        version,
        description: facts.description,
        licenses: [{ license: { id: facts.license } }],
        purl: own,
      },
    },
    components: [...facts.packages.map(component), runtime],
    dependencies: [
      { ref: own, dependsOn: [...dependsOn(facts.needs), runtime['bom-ref']] },
      ...facts.packages.map((one) => ({ ref: refOf(one), dependsOn: dependsOn(one.needs) })),
      { ref: runtime['bom-ref'], dependsOn: [] },
    ],
  };
  const serialNumber = `urn:uuid:${uuidOf(JSON.stringify(body))}`;
  const { bomFormat, specVersion, ...rest } = body;
  return `${JSON.stringify({ bomFormat, specVersion, serialNumber, ...rest }, null, 2)}\n`;
}

function component(one: ProductionPackage): Component {
  const { group, name } = parts(one.name);
  return {
    type: 'library',
    'bom-ref': refOf(one),
    ...(group === null ? {} : { group }),
    name,
    version: one.version,
    scope: 'required',
    hashes: [hash(one.integrity)],
    licenses: [license(one.license)],
    purl: purl(one),
  };
}

/** A version that lies in two places is two components. */
function refOf(one: ProductionPackage): string {
  return one.path === `node_modules/${one.name}` ? purl(one) : `${purl(one)}#${one.path}`;
}

function parts(name: string): { readonly group: string | null; readonly name: string } {
  const [first = '', second] = name.split('/');
  return second === undefined ? { group: null, name: first } : { group: first, name: second };
}

/** Package URL, type npm: the `@` of a scope is encoded. */
function purl({ name, version }: ProductionPackage): string {
  return `pkg:npm/${name.replace(/^@/, '%40')}@${version}`;
}

/** `BSD-3-Clause` by its identifier, `(BSD-3-Clause OR GPL-2.0)` as an expression. */
function license(text: string): unknown {
  return /^[A-Za-z0-9.+-]+$/.test(text) ? { license: { id: text } } : { expression: text };
}

/** Subresource integrity: the algorithm, and the digest in base64. */
function hash(integrity: string): { readonly alg: string; readonly content: string } {
  const match = /^sha512-([A-Za-z0-9+/]{86}==)$/.exec(integrity);
  if (match === null) throw new TypeError('an integrity in package-lock.json is not one SHA-512');
  return { alg: 'SHA-512', content: Buffer.from(match[1] as string, 'base64').toString('hex') };
}

/** RFC 9562, section 5.8: a UUID of a content. */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
