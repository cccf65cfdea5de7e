import { LatchkeyError } from '../../../platform/errors.ts';
import { formatEndpoint } from '../../../wireguard/config/endpoint.ts';
import type { PairLook } from '../../../wireguard/pair/pair-answers.ts';
import { PairEnd } from '../../../wireguard/pair/pair-end.ts';
import type { PairValues } from '../../../wireguard/pair/pair-script.ts';
import type { WireGuardAgreement } from '../agreement.ts';
import type { SetupContext, SetupStep, StepLook } from '../setup-step.ts';

/** What of everything that steps have in hand this one needs. */
export type WireGuardContext = Pick<SetupContext, 'home' | 'server' | 'progress'> & {
  readonly agreed: Pick<SetupContext['agreed'], 'wireguard' | 'keyServer'>;
};

/** Seconds for the first handshake; it is tried each five. */
const PATIENCE = 30;
/** A tunnel that carries anything has a newer handshake than that. */
const FRESH = 180;

/** Connects the two machines by WireGuard, each with a key that was made on it and does not leave it. */
export function wireguardStep(context: WireGuardContext, patience = PATIENCE): SetupStep {
  const ends = endsOf(context);
  const both = async <T>(ask: (end: PairEnd) => Promise<T>): Promise<readonly [T, T]> =>
    Promise.all([ask(ends.home), ask(ends.server)]);

  return {
    name: 'wireguard',
    title: 'connect the two machines by WireGuard',
    needs: [],

    look: async () => {
      const [home, server] = await both((end) => end.look());
      const foreign = [home, server].find((end) => end.conf === 'foreign' || end.interface === 'foreign');
      if (foreign !== undefined) return taken(ends.agreed, foreign === home ? ends.home : ends.server);
      if (!isWhole(home, server) || !isWhole(server, home)) return { state: 'missing' };
      const { homeAddress, serverAddress } = ends.agreed;
      return { state: 'done', words: `${homeAddress} at home and ${serverAddress} on the server hear each other` };
    },

    plan: async () => {
      const [home, server] = await both((end) => end.look());
      return [
        ...plannedAt('at home', home, ends.values.home),
        ...plannedAt('on the server', server, ends.values.server),
      ];
    },

    carryOut: async () => {
      const { progress } = context;
      progress.step('have each machine make a key for WireGuard');
      const homeKey = await ends.home.key();
      const serverKey = await ends.server.key();
      // first the one that is dialled: the other begins to dial as soon as it is up
      const order =
        ends.agreed.dials === 'home'
          ? ([
              [ends.server, homeKey],
              [ends.home, serverKey],
            ] as const)
          : ([
              [ends.home, serverKey],
              [ends.server, homeKey],
            ] as const);
      for (const [end, otherKey] of order) {
        progress.step(`bring up ${ends.agreed.interface} ${end === ends.home ? 'at home' : 'on the server'}`);
        await end.up(otherKey);
      }
      progress.step('wait until they hear each other');
      const [atHome, atServer] = await both((end) => end.hears(patience));
      if (!atHome || !atServer) throw silence(ends.agreed, ends.dialled.label);
      await both((end) => end.settle());
      const looks = await both((end) => end.look());
      return [
        `${ends.agreed.interface}: ${ends.agreed.homeAddress} at home, ${ends.agreed.serverAddress} on the server`,
        ...looks.flatMap((look, at) => unkept(look, at === 0 ? ends.home : ends.server)),
      ];
    },

    undo: async () => {
      const left: string[] = [];
      for (const end of [ends.home, ends.server]) {
        try {
          await end.undo();
        } catch (error) {
          left.push(`WireGuard on ${end.label}: ${error instanceof Error ? error.message : 'failed'}`);
        }
      }
      return left;
    },

    planRemoval: async () => {
      const looks = await both((end) => end.look());
      return looks.flatMap((look, at) => {
        if (look.conf === 'none' && !look.draft && !look.keeper) return [];
        if (look.conf === 'foreign') return [];
        return [
          `${at === 0 ? 'at home' : 'on the server'}: the tunnel ${ends.agreed.interface}, its key, and what starts it and looks after it`,
        ];
      });
    },

    takeAway: async () => {
      const stays: string[] = [];
      for (const end of [ends.home, ends.server]) {
        const { stays: packages } = await end.down();
        if (packages.length > 0) stays.push(`${end.label}: packages that were installed for it: ${packages.join(' ')}`);
      }
      return stays;
    },
  };
}

interface Ends {
  readonly agreed: WireGuardAgreement;
  readonly home: PairEnd;
  readonly server: PairEnd;
  readonly dialled: PairEnd;
  readonly values: { readonly home: PairValues; readonly server: PairValues };
}

function endsOf({ agreed: { wireguard: agreed, keyServer }, home, server }: WireGuardContext): Ends {
  if (agreed === null) throw new TypeError('no WireGuard was agreed on');
  const { interface: name, network, homeAddress, serverAddress, endpoint } = agreed;
  const homeDials = agreed.dials === 'home';
  const values = {
    home: {
      interface: name,
      network,
      ownAddress: homeAddress,
      otherAddress: serverAddress,
      listen: homeDials ? null : endpoint.port,
      endpoint: homeDials ? endpoint : null,
      serves: keyServer.listen.host === homeAddress ? keyServer.listen.port : null,
      mayMove: true,
    },
    server: {
      interface: name,
      network,
      ownAddress: serverAddress,
      otherAddress: homeAddress,
      listen: homeDials ? endpoint.port : null,
      endpoint: homeDials ? null : endpoint,
      serves: null,
    },
  };
  const atHome = new PairEnd(home.transport, home.platform, values.home);
  const onServer = new PairEnd(server, 'linux', values.server);
  return { agreed, home: atHome, server: onServer, dialled: homeDials ? onServer : atHome, values };
}

/** Is everything at this end as it should be, seen from the other one too? */
function isWhole(end: PairLook, other: PairLook): boolean {
  const isHeard = end.handshakeAge !== null && end.handshakeAge <= FRESH;
  const isKnown = end.publicKey !== null && end.publicKey === other.peerKey;
  return (
    end.conf === 'agreed' &&
    !end.draft &&
    end.interface === 'ours' &&
    end.boot &&
    end.keeper &&
    end.guard !== 'absent' &&
    isHeard &&
    isKnown
  );
}

function plannedAt(where: string, look: PairLook, values: PairValues): string[] {
  const { interface: name, listen, serves, endpoint } = values;
  const lines: string[] = [];
  if (!look.tools)
    lines.push(`${where}: install wireguard-tools, by ${look.init === 'launchd' ? 'Homebrew' : 'its package manager'}`);
  if (look.publicKey === null) lines.push(`${where}: make a key for WireGuard, which stays there`);
  const how = endpoint === null ? `dialled at UDP ${listen}` : `dials ${formatEndpoint(endpoint)}`;
  if (look.conf !== 'agreed') lines.push(`${where}: write /etc/wireguard/${name}.conf: ${values.ownAddress}, ${how}`);
  if (look.firewall !== null && listen !== null) lines.push(`${where}: let UDP ${listen} in (${look.firewall})`);
  if (look.firewall !== null && serves !== null) {
    lines.push(`${where}: let TCP ${serves} in from ${values.otherAddress} (${look.firewall})`);
  }
  if (look.guard === 'absent') {
    lines.push(`${where}: let ${values.otherAddress} reach TCP ${serves} and nothing else through the tunnel (nft)`);
  }
  if (look.interface === 'none') lines.push(`${where}: start ${name}`);
  if (!look.boot) lines.push(`${where}: have it started with the machine (${look.init})`);
  if (!look.keeper) lines.push(`${where}: have it looked after each minute (${look.keeps})`);
  return lines;
}

function unkept(look: PairLook, end: PairEnd): string[] {
  const boot = look.init === 'none' ? ', and nothing starts it with the machine' : '';
  return [
    ...(look.keeps === 'none'
      ? [`${end.label} has neither systemd nor cron: nothing looks after the tunnel there${boot}`]
      : []),
    ...(look.guard === 'unfit'
      ? [
          `${end.label} has no nft: through the tunnel the server reaches whatever listens there, not the key server alone`,
        ]
      : []),
  ];
}

function taken(agreed: WireGuardAgreement, end: PairEnd): StepLook {
  return {
    state: 'impossible',
    code: 'pair_conf_foreign',
    words: `${end.label} has something called ${agreed.interface} that is not of this pair`,
    hint: 'take another name: "wireguard": {"interface": "NAME"}',
  };
}

function silence(agreed: WireGuardAgreement, dialled: string): LatchkeyError {
  const { port } = agreed.endpoint;
  const from = agreed.dials === 'home' ? 'the machine at home' : 'the server';
  return new LatchkeyError(
    'wireguard_silent',
    `no answer came through WireGuard: UDP from ${from} to ${formatEndpoint(agreed.endpoint)} does not get there, or not back`,
    {
      field: 'wireguard.endpoint',
      hint: `let UDP port ${port} in at the firewall of the provider of ${dialled} (or of the router before it); where UDP is blocked altogether, set "transport": "ssh"`,
    },
  );
}
