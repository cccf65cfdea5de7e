import { z } from 'zod';

/** Identifiers of the SPDX license list; the ones that this project meets. */
const spdxId = z.enum(['0BSD', 'AGPL-3.0-or-later', 'Apache-2.0', 'BSD-3-Clause', 'ISC', 'MIT', 'MIT-0', 'Unlicense']);
const ref = z.string().min(1);
const licenses = z.union([
  z.array(z.strictObject({ license: z.strictObject({ id: spdxId }) })).min(1),
  z.tuple([z.strictObject({ expression: z.string().regex(/^\(?[A-Za-z0-9.+-]+( (OR|AND) [A-Za-z0-9.+-]+)+\)?$/) })]),
]);
/** github.com/package-url/purl-spec: lower-case type, `@` of a scope encoded, a version. */
const purl = z.string().regex(/^pkg:(npm|generic)\/(%40[a-z0-9._-]+\/)?[a-z0-9._-]+@[0-9][0-9A-Za-z.+-]*$/);
const component = z.strictObject({
  type: z.enum(['library', 'platform']),
  'bom-ref': ref,
  group: z.string().min(1).optional(),
  name: z.string().min(1),
  version: z.string().min(1),
  scope: z.enum(['required', 'optional', 'excluded']),
  hashes: z
    .array(z.strictObject({ alg: z.literal('SHA-512'), content: z.string().regex(/^[a-f0-9]{128}$/) }))
    .min(1)
    .optional(),
  licenses,
  purl,
});

/**
 * The parts of the CycloneDX 1.6 JSON schema that a bill of this project uses, more narrowly than there: no other field, and of each
 * choice only what is meant.
 */
const bill = z.strictObject({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.literal('1.6'),
  serialNumber: z.string().regex(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/),
  version: z.literal(1),
  metadata: z.strictObject({
    timestamp: z.iso.datetime(),
    lifecycles: z.tuple([z.strictObject({ phase: z.literal('build') })]),
    component: z.strictObject({
      type: z.literal('application'),
      'bom-ref': ref,
      name: z.string(),
      version: z.string(),
      description: z.string(),
      licenses,
      purl,
    }),
  }),
  components: z.array(component),
  dependencies: z.array(z.strictObject({ ref, dependsOn: z.array(ref) })),
});
export type Bill = z.infer<typeof bill>;

/** Throws for what is no such bill, for references that are not unique, and for dependencies on what is not in it. */
export function parseBill(text: string): Bill {
  const parsed = bill.parse(JSON.parse(text));
  const refs = [parsed.metadata.component['bom-ref'], ...parsed.components.map((one) => one['bom-ref'])];
  if (new Set(refs).size !== refs.length) throw new TypeError('a bom-ref is there twice');
  const known = new Set(refs);
  for (const { ref: of, dependsOn } of parsed.dependencies) {
    const unknown = [of, ...dependsOn].find((one) => !known.has(one));
    if (unknown !== undefined) throw new TypeError(`${unknown} is no bom-ref of the bill`);
    if (new Set(dependsOn).size !== dependsOn.length) throw new TypeError(`${of} depends on something twice`);
  }
  if (parsed.dependencies.length !== refs.length) throw new TypeError('each component has one entry of dependencies');
  return parsed;
}
