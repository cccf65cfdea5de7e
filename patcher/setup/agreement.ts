/** What is settled for a pair of machines before anything is done, and kept in its record: every run goes by the same. */
export interface Agreement {
  /** `null` while no WireGuard is wanted. */
  readonly wireguard: WireGuardAgreement | null;
  readonly sshTunnel: SshTunnelAgreement | null;
  readonly keyServer: {
    /** At home: the WireGuard address where there is one, else 127.0.0.1. */
    readonly listen: { readonly host: string; readonly port: number };
    /** Names in its certificate: every address that it may be asked by. */
    readonly hosts: readonly string[];
    /** `https://…`, as Nextcloud asks for it, the preferred one first. */
    readonly urls: readonly string[];
    /** Networks that Nextcloud's requests come from, as the key server sees them. */
    readonly from: readonly string[];
    readonly data: string;
    readonly keyfile: string;
    readonly account: string;
  };
}

export interface WireGuardAgreement {
  /** The interface's name, on both ends. */
  readonly interface: string;
  /** IPv4, with its prefix: `10.71.203.0/30`. */
  readonly network: string;
  readonly homeAddress: string;
  readonly serverAddress: string;
  readonly dials: 'home' | 'server';
  /** Host and UDP port of the end that is dialled. */
  readonly endpoint: { readonly host: string; readonly port: number };
}

export interface SshTunnelAgreement {
  readonly dials: 'home' | 'server';
  /** The sshd that is dialled. */
  readonly endpoint: { readonly host: string; readonly port: number };
  /** The account there that may do nothing else. */
  readonly account: string;
  /** Loopback port on the server that leads to the key server. */
  readonly listen: number;
}
