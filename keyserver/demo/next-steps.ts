import { programVersion } from '../../platform/program-place.ts';
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
    'npm run package',
    `sudo sh dist/install.sh dist/latchkey-${programVersion()}.tar.gz`,
    'ncpatch setup --ssh root@cloud.example',
  ];
  const show = (label: string, commands: readonly string[]) =>
    commands.map((text, index) => ({ label: index === 0 ? label : '', text }));
  return {
    step: 'next',
    title: 'how to go on',
    lines: [
      ...show('look at this', look),
      ...show('your own', own),
      {
        label: '',
        text: 'on the machine at home, with the login of your server; README.md tells what it does, and how to do it by hand',
        tone: 'quiet',
      },
    ],
    data: { look, own },
  };
}
