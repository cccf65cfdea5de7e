<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

// A key server small enough to be read at a glance, for tests of the client. Usage: php server.php FOLDER
// FOLDER: tls.pem (certificate and key); authority.pem (the same of who signs); behaviour.json, read anew for each request; log.jsonl, one line a request.
// It prints its port. It keeps the chain of one client in memory and judges it as protocol demands.

[$script, $folder] = $argv;
$context = stream_context_create(['ssl' => [
	'local_cert' => $folder . '/tls.pem',
	'verify_peer' => false, // what the client shows is judged by the real key server, in test/php-app/certificate-life.test.ts
	'crypto_method' => is_file($folder . '/tls12') ? STREAM_CRYPTO_METHOD_TLSv1_2_SERVER : STREAM_CRYPTO_METHOD_TLSv1_3_SERVER,
]]);
$server = stream_socket_server('tcp://127.0.0.1:0', $errno, $error, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, $context);
echo explode(':', stream_socket_get_name($server, false))[1], "\n";

$code64 = static fn (string $bytes): string => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
$state = ['confirmed' => null, 'pending' => [], 'spent' => [], 'time' => 0, 'sessions' => [], 'keys' => [], 'seq' => 0, 'locked' => false];

$problem = static fn (int $status, string $code, array $more = []): array
	=> [$status, ['type' => 'about:blank', 'title' => $code, 'status' => $status, 'code' => $code, 'detail' => $code] + $more];

$head = static function () use (&$state): array {
	return ['seq' => ++$state['seq'], 'hash' => hash('sha256', (string)$state['seq'])];
};

$stale = static function (array $body) use (&$state, $problem): ?array {
	$now = (int)(microtime(true) * 1000);
	if (abs($now - $body['time']) > 60000 || $body['time'] <= $state['time']) {
		return $problem(409, 'stale_message', ['serverTime' => $now]);
	}
	$state['time'] = $body['time'];
	return null;
};

$fork = static function () use (&$state, $problem): array {
	$state['locked'] = true;
	return $problem(423, 'locked', ['reason' => 'fork']);
};

$sign = static function (string $csr) use ($folder): string {
	$config = $folder . '/openssl.cnf';
	file_put_contents($config, "[req]\ndistinguished_name=dn\n[dn]\n");
	$authority = 'file://' . $folder . '/authority.pem';
	$options = ['digest_alg' => 'sha256', 'config' => $config];
	openssl_x509_export(openssl_csr_sign($csr, $authority, $authority, 30, $options, random_int(1, PHP_INT_MAX)), $pem);
	return $pem;
};
$authority = static fn (): string => explode('-----BEGIN PRIVATE', (string)file_get_contents($folder . '/authority.pem'))[0];

$routes = [
	'POST /v1/enroll' => static function (array $body) use (&$state, $code64, $sign): array {
		$state['confirmed'] = $code64(random_bytes(32));
		return [201, [
			'clientId' => 'stand-in', 'token' => str_repeat('A', 43), 'totpSecret' => 'MZXW6YTBOJRGC6RA', 'link' => $state['confirmed'],
			'ca' => 'PEM', 'keys' => array_keys($state['keys']),
		] + (isset($body['csr']) ? ['certificate' => $sign($body['csr'])] : [])];
	},
	'PUT /v1/keys' => static function (array $body, string $id) use (&$state, $problem): array {
		$bytes = base64_decode($body['key']);
		$known = $state['keys'][$id] ?? null;
		if ($known !== null && $known !== $bytes) {
			return $problem(409, 'key_exists');
		}
		$state['keys'][$id] = $bytes;
		return [$known === null ? 201 : 200, ['id' => $id, 'sha256' => hash('sha256', $bytes)]];
	},
	'POST /v1/open' => static function (array $body) use (&$state, $stale, $fork, $head, $problem, $code64): array {
		if ($state['locked']) {
			return $problem(423, 'locked', ['reason' => 'fork']);
		}
		if (($refusal = $stale($body)) !== null) {
			return $refusal;
		}
		if (isset($state['spent'][$body['link']])) {
			return $fork();
		}
		if ($body['link'] !== $state['confirmed'] && !isset($state['pending'][$body['link']])) {
			return $problem(401, 'unauthorized');
		}
		if ($body['link'] !== $state['confirmed']) {
			$state['spent'][$state['confirmed']] = true;
			unset($state['pending'][$body['link']]);
			$state['confirmed'] = $body['link'];
		}
		$next = $code64(random_bytes(32));
		$session = $code64(random_bytes(32));
		$state['pending'][$next] = true;
		$state['sessions'][$session] = $next;
		return [200, ['next' => $next, 'session' => $session, 'expiresInMs' => 10000, 'head' => $head()]];
	},
	'POST /v1/release' => static function (array $body, string $id, array $behaviour) use (&$state, $stale, $fork, $head, $problem): array {
		if (($refusal = $stale($body)) !== null) {
			return $refusal;
		}
		if (isset($state['spent'][$body['link']]) || $body['link'] === $state['confirmed']) {
			return $fork();
		}
		if (($state['sessions'][$body['session']] ?? null) !== $body['link']) {
			return $problem(401, 'unauthorized');
		}
		unset($state['sessions'][$body['session']]);
		$state['spent'] += [$state['confirmed'] => true] + $state['pending'];
		unset($state['spent'][$body['link']]);
		$state['pending'] = [];
		$state['confirmed'] = $body['link'];
		$keys = [];
		foreach ($body['keys'] as $key) {
			if (!isset($state['keys'][$key])) {
				return $problem(404, 'not_found');
			}
			$keys[$key] = base64_encode($state['keys'][$key]);
		}
		return [200, ['keys' => $keys, 'policy' => $behaviour['policy'] ?? ['ttl' => 3600, 'staleIfError' => 86400], 'head' => $head()]];
	},
	'POST /v1/certificate' => static fn (array $body, string $id, array $behaviour): array
		=> [200, ['certificate' => $sign($body['csr']), 'ca' => $behaviour['ca'] ?? $authority()]],
	'POST /v1/heartbeat' => static function (array $body, string $id, array $behaviour) use (&$state, $stale, $head): array {
		$refusal = $stale($body);
		$policy = ['ttl' => 3600, 'staleIfError' => 86400];
		return $refusal ?? [200, ['state' => $state['locked'] ? 'purge' : 'ok', 'policy' => $policy, 'head' => $head()]
			+ (isset($behaviour['ca']) ? ['ca' => $behaviour['ca']] : [])];
	},
];

$clients = [];
$buffers = [];
while (true) {
	$read = [$server, ...$clients];
	$write = $except = null;
	stream_select($read, $write, $except, null);
	foreach ($read as $socket) {
		if ($socket === $server) {
			$client = @stream_socket_accept($server, 1);
			if ($client !== false && @stream_socket_enable_crypto($client, true) === true) {
				stream_set_blocking($client, false);
				$clients[(int)$client] = $client;
				$buffers[(int)$client] = '';
			}
			continue;
		}
		$id = (int)$socket;
		$data = fread($socket, 65536);
		if ($data === '' || $data === false) {
			if (feof($socket)) {
				fclose($socket);
				unset($clients[$id], $buffers[$id]);
			}
			continue;
		}
		$buffers[$id] .= $data;
		if (preg_match('/\A([A-Z]+) (\S+) .*?\r\nContent-Length: (\d+)\r\n(?:.*?\r\n)?\r\n/is', $buffers[$id], $match) !== 1) {
			continue;
		}
		if (strlen($buffers[$id]) < strlen($match[0]) + (int)$match[3]) {
			continue;
		}
		$text = substr($buffers[$id], strlen($match[0]), (int)$match[3]);
		$buffers[$id] = '';
		$body = json_decode($text, true);
		$path = $match[2];
		$key = strncmp($path, '/v1/keys/', 9) === 0 ? substr($path, 9) : '';
		$route = $match[1] . ' ' . ($key === '' ? $path : '/v1/keys');
		$behaviour = json_decode((string)file_get_contents($folder . '/behaviour.json'), true) ?? [];
		$twist = $behaviour[$path] ?? null;
		file_put_contents(
			$folder . '/log.jsonl',
			json_encode(['route' => $route, 'body' => $body, 'head' => $match[0], 'connection' => $id, 'at' => microtime(true)]) . "\n",
			FILE_APPEND
		);
		usleep((int)($behaviour['delayMs'] ?? 0) * 1000);
		if ($twist === 'hang') {
			continue;
		}
		if ($twist === 'lose-request') {
			fclose($socket);
			unset($clients[$id], $buffers[$id]);
			continue;
		}
		if (is_array($twist)) {
			[$status, $answer] = $twist;
		} else {
			[$status, $answer] = isset($routes[$route]) ? $routes[$route]($body, $key, $behaviour) : $problem(404, 'not_found');
		}
		if ($twist === 'lose-answer') {
			fclose($socket);
			unset($clients[$id], $buffers[$id]);
			continue;
		}
		$bytes = is_string($answer) ? $answer : json_encode($answer);
		$type = is_string($answer) ? 'text/html' : ($status >= 300 ? 'application/problem+json' : 'application/json');
		fwrite($socket, 'HTTP/1.1 ' . $status . " X\r\nContent-Type: " . $type . "\r\nContent-Length: " . strlen($bytes)
			. "\r\nDate: " . gmdate(DATE_RFC7231, time() + (int)($behaviour['clockSeconds'] ?? 0)) . "\r\n\r\n" . $bytes);
	}
}
