/** A table as something that can be copied and checked. */
export interface StoredTable {
  readonly name: string;
  /** The columns by which a row is found. */
  readonly key: readonly string[];
  /** Those that hold what the vault sealed. */
  readonly sealed: readonly string[];
}

/** Every table of the migrations, each behind those it refers to. Whoever adds a table adds it here. */
export const storedTables: readonly StoredTable[] = [
  { name: 'interface', key: ['name'], sealed: ['obfuscation_sealed', 'private_key_sealed'] },
  { name: 'peer', key: ['id'], sealed: ['preshared_key_sealed'] },
  { name: 'free_range', key: ['interface', 'first'], sealed: [] },
  { name: 'account', key: ['name'], sealed: ['totp_sealed'] },
  { name: 'session', key: ['id'], sealed: [] },
  { name: 'api_token', key: ['id'], sealed: [] },
  { name: 'jwt_key', key: ['name'], sealed: ['key_sealed'] },
  { name: 'gateway', key: ['name'], sealed: ['secret_sealed', 'next_sealed'] },
  { name: 'install_token', key: ['id'], sealed: [] },
  { name: 'proxmox_cluster', key: ['id'], sealed: [] },
  { name: 'proxmox_node', key: ['spoke_id'], sealed: [] },
  { name: 'backup', key: ['sha256'], sealed: [] },
  { name: 'server_secret', key: ['name'], sealed: ['sealed'] },
  { name: 'audit', key: ['seq'], sealed: [] },
  { name: 'audit_signature', key: ['seq'], sealed: [] },
];
