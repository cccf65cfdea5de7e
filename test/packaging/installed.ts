import { readFileSync } from 'node:fs';
import { get as getPlain } from 'node:http';
import { get } from 'node:https';
import { join } from 'node:path';
import { BackgroundProcess } from '../harness/background-process.ts';
import { inRoot, ROOT_ENV, rootArgv } from '../harness/clean-root.ts';
import { freePort } from '../harness/free-port.ts';

/**
 * Makes a key server and a hub in a root where a release is installed, starts each as its account and asks it for its health. The
 * HTTP status that each answered.
 */
export async function servedFrom(root: string, folder: string): Promise<{ keyserver: number; hub: number }> {
  const keys = `${folder}/keys`;
  const keyserver = await whileRunning(root, 'keyserver', keys, [], (port) => {
    const ca = readFileSync(join(root, keys, 'ca.pem'));
    return status(get(`https://127.0.0.1:${port}/health`, { ca, agent: false }));
  });
  const words = ['--driver', 'memory', '--endpoint', '127.0.0.1:51820'];
  const hub = await whileRunning(root, 'wghub', `${folder}/hub`, words, (port) =>
    status(getPlain(`http://127.0.0.1:${port}/api/health`, { agent: false })),
  );
  return { keyserver, hub };
}

async function whileRunning(
  root: string,
  program: string,
  data: string,
  words: readonly string[],
  ask: (port: number) => Promise<number>,
): Promise<number> {
  const port = await freePort();
  const place = ['--data', data, '--keyfile', `${data}.keyfile`];
  const init = ['init', ...place, '--listen', `127.0.0.1:${port}`, ...words];
  const { exit, stderr } = await inRoot(root, [program, ...init], {}, 'latchkey:latchkey');
  if (exit !== 0) throw new Error(`${program} init ended with ${exit}: ${stderr}`);
  const running = await BackgroundProcess.start(rootArgv(root, [program, 'start', ...place], 'latchkey:latchkey'), {
    readyWhen: /^serving /m,
    env: ROOT_ENV,
  });
  try {
    return await ask(port);
  } finally {
    await running.stop();
  }
}

function status(request: ReturnType<typeof get>): Promise<number> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
  });
}
