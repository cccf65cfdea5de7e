import type { Cleanup } from './cleanup.ts';
import { Machine } from './hub-network.ts';
import type { Wire } from './whole-machine.ts';

/** What the router does with what comes through it: home is hidden behind its one address, and nobody calls it from outside. */
const ROUTER = `
flush ruleset
table ip router {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "home" accept
  }
  chain out {
    type nat hook postrouting priority 100;
    oifname "isp" masquerade
  }
}
`;
const NO_UDP = 'table ip blocked { chain forward { type filter hook forward priority -10; meta l4proto udp drop; }; }';

/** A home behind a router, and a server on the internet, as two machines see them. Addresses are those of documentations. */
export class WholeNetwork {
  readonly router: Machine;
  readonly #internet: Machine;
  #address = '203.0.113.5';

  private constructor(internet: Machine, router: Machine) {
    this.#internet = internet;
    this.router = router;
  }

  static async build(cleanup: Cleanup): Promise<WholeNetwork> {
    const [internet, router] = await Promise.all([Machine.start('internet', ''), Machine.start('router', '')]);
    cleanup.add('internet', () => internet.halt());
    cleanup.add('router', () => router.halt());
    for (const machine of [internet, router]) await machine.run('sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward');
    const near = 'ip address add 203.0.113.1/24 dev homes && ip link set homes up';
    await internet.run('sh', '-c', `ip link add homes type veth peer name isp netns ${router.pid} && ${near}`);
    const network = new WholeNetwork(internet, router);
    await network.#haveAddress();
    await router.run('sh', '-c', `nft -f - <<'end'\n${ROUTER}\nend`);
    return network;
  }

  /** Of the home's machine. */
  get home(): Wire {
    return { to: this.router, name: 'home', address: '192.168.77.2/24', gateway: '192.168.77.1' };
  }

  get server(): Wire {
    return { to: this.#internet, name: 'server', address: '198.51.100.10/24', gateway: '198.51.100.1' };
  }

  /** What the internet sees of the home. */
  get homeAddress(): string {
    return this.#address;
  }

  async #haveAddress(): Promise<void> {
    const added = `ip address flush dev isp; ip address add ${this.#address}/24 dev isp && ip link set isp up`;
    await this.router.run('sh', '-c', `${added} && ip route replace default via 203.0.113.1`);
  }

  /** The provider gives the home another address, as after a night; what went by the old one is cut without a word. */
  async changeHomeAddress(): Promise<void> {
    this.#address = this.#address === '203.0.113.5' ? '203.0.113.77' : '203.0.113.5';
    await this.#haveAddress();
  }

  /** The home's line, as when somebody pulls its plug at the router: nothing is told, packets are lost. */
  async setLine(there: boolean): Promise<void> {
    await this.#internet.run('ip', 'link', 'set', 'homes', there ? 'up' : 'down');
  }

  /** The router lets no UDP out, or does again. */
  async setUdp(allowed: boolean): Promise<void> {
    await this.router.run('nft', ...(allowed ? ['delete', 'table', 'ip', 'blocked'] : [NO_UDP]));
  }
}
