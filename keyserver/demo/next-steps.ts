import type { Scene } from './scene.ts';
import type { ThrowAwayServer } from './throw-away-server.ts';

/** How to look at this server, and how to go on with a real one: commands to be copied as they stand. */
export function nextSteps(server: ThrowAwayServer): Scene {
  const look = [
    `npm run -s keyserver -- audit tail --data ${server.data.directory}`,
    `npm run -s keyserver -- doctor --data ${server.data.directory} --keyfile ${server.keyfile}`,
    `curl --cacert ${server.data.directory}/ca.pem ${server.url}/health`,
  ];
  const own = [
    'npm run -s keyserver -- init --data ~/latchkey --listen 10.8.0.1:8443 --keyfile ~/latchkey.keyfile',
    'npm run -s keyserver -- start --data ~/latchkey --keyfile ~/latchkey.keyfile',
    'npm run -s keyserver -- client add cloud --data ~/latchkey',
  ];
  const nextcloud = [
    'npm run -s ncpatch -- detect --ssh root@cloud.example',
    'npm run -s ncpatch -- apply --ssh root@cloud.example',
    'npm run -s ncpatch -- enroll --ssh root@cloud.example --url https://10.8.0.1:8443 --ca ca.pem',
    'npm run -s ncpatch -- escrow --ssh root@cloud.example --copy cloud-keys.copy',
  ];
  const show = (label: string, commands: readonly string[]) =>
    commands.map((text, index) => ({ label: index === 0 ? label : '', text }));
  return {
    step: 'next',
    title: 'how to go on',
    lines: [
      ...show('look at this', look),
      ...show('your own', own),
      ...show('nextcloud', nextcloud),
      {
        label: '',
        text: "10.8.0.1 stands for the key server's WireGuard address; see keyserver/README.md",
        tone: 'quiet',
      },
    ],
    data: { look, own, nextcloud },
  };
}
