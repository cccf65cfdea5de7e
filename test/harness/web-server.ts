import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { BackgroundProcess } from './background-process.ts';
import type { Cleanup } from './cleanup.ts';
import { freePort } from './free-port.ts';
import type { HttpAddress } from './http-client.ts';
import { isRoot, webUser } from './nextcloud-files.ts';
import type { Place } from './place.ts';
import { findPhpFpm, findProgram } from './programs.ts';

/** PHP settings that both the web and the command line of an instance get, so that nothing of it lies elsewhere. */
export function phpSettings(base: string): Readonly<Record<string, string>> {
  return {
    memory_limit: '512M',
    'session.save_path': join(base, 'sessions'),
    upload_tmp_dir: join(base, 'tmp'),
    sys_temp_dir: join(base, 'tmp'),
    'apc.enabled': '1',
    'zend.exception_ignore_args': 'On',
  };
}

/** A web server of the test's own: PHP-FPM behind nginx when both are there, else PHP's built-in one. */
export interface WebServer {
  readonly kind: 'php-fpm' | 'php -S';
  readonly address: HttpAddress;
  stop(): Promise<void>;
}

export interface WebServerOptions {
  readonly base: string;
  readonly root: string;
  readonly place: Place;
  readonly workers: number;
  readonly cleanup: Cleanup;
}

function fpmConfig({ base, workers }: WebServerOptions): string {
  const user = isRoot() ? [`user = ${webUser.name}`, `group = ${webUser.name}`] : [];
  const settings = Object.entries(phpSettings(base)).map(([name, value]) => `php_admin_value[${name}] = ${value}`);
  return [
    '[global]',
    `error_log = ${join(base, 'log', 'fpm.log')}`,
    'daemonize = no',
    '[nextcloud]',
    ...user,
    `listen = ${join(base, 'run', 'fpm.sock')}`,
    'listen.mode = 0666',
    'pm = static',
    `pm.max_children = ${workers}`,
    'catch_workers_output = yes',
    ...settings,
    '',
  ].join('\n');
}

/** The documented nginx configuration of Nextcloud, cut to what clients of these tests ask for: a server of `http`. */
export function nextcloudSite({ listen, root, fpm }: { listen: readonly string[]; root: string; fpm: string }): string {
  return `
  server {
    ${listen.map((one) => `listen ${one};`).join(' ')}
    server_name localhost;
    root ${root};
    index index.php index.html /index.php$request_uri;
    location ^~ /.well-known { return 301 /index.php$request_uri; }
    location ~ ^/(?:build|tests|config|lib|3rdparty|templates|data)(?:$|/) { return 404; }
    location ~ ^/(?:\\.|autotest|occ|issue|indie|db_|console) { return 404; }
    location ~ \\.php(?:$|/) {
      rewrite ^/(?!index|remote|public|cron|core\\/ajax\\/update|status|ocs\\/v[12]|updater\\/.+|ocs-provider\\/.+) /index.php$request_uri;
      fastcgi_split_path_info ^(.+?\\.php)(/.*)$;
      set $path_info $fastcgi_path_info;
      try_files $fastcgi_script_name =404;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_param SCRIPT_NAME $fastcgi_script_name;
      fastcgi_param PATH_INFO $path_info;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param REQUEST_URI $request_uri;
      fastcgi_param DOCUMENT_ROOT $document_root;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param GATEWAY_INTERFACE CGI/1.1;
      fastcgi_param SERVER_SOFTWARE nginx;
      fastcgi_param REMOTE_ADDR 127.0.0.1;
      fastcgi_param REMOTE_PORT 0;
      fastcgi_param SERVER_ADDR 127.0.0.1;
      fastcgi_param SERVER_PORT 80;
      fastcgi_param SERVER_NAME localhost;
      fastcgi_param modHeadersAvailable true;
      fastcgi_param front_controller_active true;
      fastcgi_pass unix:${fpm};
      fastcgi_intercept_errors off;
      fastcgi_request_buffering off;
      fastcgi_read_timeout 120;
    }
    location ~ \\.(?:css|js|mjs|svg|gif|png|jpg|ico|wasm|woff2?)$ { try_files $uri /index.php$request_uri; }
    location /remote { return 301 /remote.php$request_uri; }
    location / { try_files $uri $uri/ /index.php$request_uri; }
  }
`;
}

function nginxConfig({ base, root }: WebServerOptions): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${join(base, 'tmp', `nginx-${name}`)};`)
    .join('\n  ');
  return `
${isRoot() ? `user ${webUser.name};` : ''}
daemon off;
worker_processes 1;
pid ${join(base, 'run', 'nginx.pid')};
error_log ${join(base, 'log', 'nginx.log')};
events { worker_connections 256; }
http {
  access_log off;
  ${paths}
  client_max_body_size 64m;
  types { text/html html; text/css css; application/javascript js mjs; image/svg+xml svg; image/png png; }
${nextcloudSite({ listen: [`unix:${join(base, 'run', 'http.sock')}`], root, fpm: join(base, 'run', 'fpm.sock') })}}
`;
}

function accepts(target: { path: string } | { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(target, () => resolve(socket.destroy().destroyed));
    socket.on('error', () => resolve(false));
  });
}

async function startFpm(options: WebServerOptions, fpm: string, nginx: string): Promise<WebServer> {
  const { base, place, cleanup } = options;
  const path = (...parts: string[]): string => join(base, ...parts);
  writeFileSync(path('run', 'fpm.conf'), fpmConfig(options));
  writeFileSync(path('run', 'nginx.conf'), nginxConfig(options));
  const php = await BackgroundProcess.start(place.inside([fpm, '-F', '-y', path('run', 'fpm.conf')]), {
    readyIf: () => accepts({ path: path('run', 'fpm.sock') }),
  });
  cleanup.add('php-fpm', () => php.stop());
  const web = await BackgroundProcess.start(
    place.inside([nginx, '-e', path('log', 'nginx.log'), '-c', path('run', 'nginx.conf')]),
    {
      readyIf: () => accepts({ path: path('run', 'http.sock') }),
    },
  );
  cleanup.add('nginx', () => web.stop());
  return {
    kind: 'php-fpm',
    address: { socketPath: path('run', 'http.sock') },
    stop: async () => {
      await web.stop();
      await php.stop();
    },
  };
}

async function startBuiltIn(
  { base, root, place, workers, cleanup }: WebServerOptions,
  php: string,
): Promise<WebServer> {
  const port = await freePort();
  const settings = Object.entries(phpSettings(base)).flatMap(([name, value]) => ['-d', `${name}=${value}`]);
  const server = await BackgroundProcess.start(
    place.inside([php, ...settings, '-S', `127.0.0.1:${port}`, '-t', root]),
    {
      cwd: root,
      env: { PHP_CLI_SERVER_WORKERS: String(workers) },
      readyIf: () => accepts({ host: '127.0.0.1', port }),
    },
  );
  cleanup.add('php -S', () => server.stop());
  return { kind: 'php -S', address: { host: '127.0.0.1', port }, stop: () => server.stop() };
}

export function startWebServer(options: WebServerOptions): Promise<WebServer> {
  for (const name of ['run', 'log']) mkdirSync(join(options.base, name), { recursive: true });
  const [fpm, nginx, php] = [findPhpFpm(), findProgram('nginx'), findProgram('php')];
  if (fpm !== null && nginx !== null) return startFpm(options, fpm, nginx);
  if (php === null) throw new Error('neither php-fpm with nginx nor php is installed');
  return startBuiltIn(options, php);
}
