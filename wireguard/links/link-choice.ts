/** What a machine has to make an interface with. */
export interface LinkMeans {
  /** The kernel makes interfaces of type `wireguard`; `null` when that could not be tried. */
  readonly kernel: boolean | null;
  readonly kernelAmnezia: boolean | null;
  /** Programs that are installed, of `wg`, `awg`, `wireguard-go`, `amneziawg-go`, `ip`. */
  readonly programs: readonly string[];
}

/** How an interface is made, and how it is spoken to. */
export interface LinkChoice {
  readonly made: 'kernel' | 'user-space';
  /** The program that is the interface, in user space. */
  readonly program: 'wireguard-go' | 'amneziawg-go' | null;
  readonly driver: 'uapi' | 'wg' | 'awg';
  /** Why, for `doctor`. */
  readonly why: string;
}

/**
 * Pure: the best that works. The kernel carries several times what a program does; the control socket of a program
 * answers faster than a tool starts. When nothing works, what to install.
 */
export function chooseLink(means: LinkMeans, obfuscated: boolean): LinkChoice | { readonly missing: string } {
  const has = (name: string): boolean => means.programs.includes(name);
  const tool = obfuscated ? 'awg' : 'wg';
  const program = obfuscated ? 'amneziawg-go' : 'wireguard-go';
  const kernel = obfuscated ? means.kernelAmnezia : means.kernel;
  const kind = obfuscated ? 'AmneziaWG' : 'WireGuard';
  if (kernel === true && has(tool))
    return { made: 'kernel', program: null, driver: tool, why: `the kernel has ${kind}, and ${tool} is installed` };
  if (has(program)) {
    const why =
      kernel === null
        ? `whether the kernel has ${kind} could not be tried`
        : kernel
          ? `${tool} is not installed, so the kernel's ${kind} cannot be used`
          : `the kernel has no ${kind}`;
    return { made: 'user-space', program, driver: 'uapi', why: `${why}; ${program} is installed` };
  }
  if (kernel === true) return { missing: obfuscated ? 'amneziawg-tools' : 'wireguard-tools' };
  return {
    missing: obfuscated
      ? 'amneziawg-go, or the kernel module amneziawg with amneziawg-tools'
      : 'wireguard-go, or a kernel with WireGuard and wireguard-tools',
  };
}
