<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest;

use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\Credentials;
use OCA\RemoteKeyStorage\State\LinkState;
use OCA\RemoteKeyStorage\Wire\Enroller;

/** Starts stand-in/server.php in a scratch folder and makes enrolled state folders for it. */
class KeyServer {
	public string $folder;
	public string $ca;
	public int $port;
	/** @var resource */
	private $process;
	/** @var array<int, resource> */
	private array $pipes = [];

	/** @param self|null $twin another one whose certificate it shows as well */
	public function __construct(bool $onlyTls12 = false, ?self $twin = null) {
		$this->folder = self::scratch('server');
		if ($twin === null) {
			$this->ca = self::certificate($this->folder . '/tls.pem');
		} else {
			$this->ca = $twin->ca;
			copy($twin->folder . '/tls.pem', $this->folder . '/tls.pem');
		}
		if ($onlyTls12) {
			touch($this->folder . '/tls12');
		}
		$this->behave([]);
		// connections of tests before, which the new process would inherit: beyond 1,024 of them stream_select() fails
		gc_collect_cycles();
		$this->process = proc_open(
			[PHP_BINARY, __DIR__ . '/server.php', $this->folder],
			[['file', '/dev/null', 'r'], ['pipe', 'w'], ['file', $this->folder . '/stderr', 'w']],
			$this->pipes
		);
		$this->port = (int)fgets($this->pipes[1]);
	}

	public function stop(): void {
		if (is_resource($this->process)) {
			proc_terminate($this->process, 9);
			proc_close($this->process);
		}
	}

	public function __destruct() {
		$this->stop();
	}

	public function url(): string {
		return 'https://127.0.0.1:' . $this->port;
	}

	/** @param array<string, mixed> $behaviour by path: "hang", "lose-request", "lose-answer" or [status, body]; policy; delayMs; clockSeconds of the Date header */
	public function behave(array $behaviour): void {
		file_put_contents($this->folder . '/behaviour.json', json_encode($behaviour));
	}

	/** @return list<array<string, mixed>> */
	public function requests(?string $route = null): array {
		$lines = @file($this->folder . '/log.jsonl', FILE_IGNORE_NEW_LINES) ?: [];
		$all = array_map(static fn (string $line): array => json_decode($line, true), $lines);
		return array_values(array_filter($all, static fn (array $r): bool => $route === null || $r['route'] === $route));
	}

	/**
	 * @param array<string, string> $keys stored on the server, and listed as moved
	 * @param list<string>|null $urls
	 * @return string state folder
	 */
	public function enrolled(array $keys, ?array $urls = null): string {
		$dir = self::scratch('state');
		$answer = Enroller::enroll([$this->url()], str_repeat('B', 42) . 'A', $this->ca);
		$host = Host::at($dir);
		$master = null;
		foreach (array_keys($keys) as $id) {
			$master = preg_match('/\A(master_.*)\.privateKey\z/', $id, $match) === 1 ? $match[1] : $master;
		}
		(new Credentials(
			$urls ?? [$this->url()],
			$answer['clientId'],
			$answer['token'],
			$answer['totpSecret'],
			$master,
			array_keys($keys)
		))->save($host->folder());
		$host->folder()->write('ca.pem', $this->ca);
		(new LinkState($host->folder()))->start($answer['link'], 0);
		foreach ($keys as $id => $bytes) {
			$host->client()->putKey($id, $bytes, str_repeat('C', 42) . 'A');
		}
		return $dir;
	}

	public static function scratch(string $name): string {
		$folder = sys_get_temp_dir() . '/latchkey-test-' . $name . '-' . bin2hex(random_bytes(6));
		mkdir($folder, 0700);
		register_shutdown_function(static function () use ($folder): void {
			array_map('unlink', glob($folder . '/{,.}*[!.]', GLOB_BRACE) ?: []);
			@rmdir($folder);
		});
		return $folder;
	}

	/** A CA, and a certificate for 127.0.0.1 with its key in $file. @return string PEM of the CA */
	public static function certificate(string $file): string {
		$config = tempnam(sys_get_temp_dir(), 'latchkey-test');
		file_put_contents($config, "[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\n"
			. "[leaf]\nsubjectAltName=IP:127.0.0.1\n");
		$options = ['config' => $config, 'digest_alg' => 'sha256', 'private_key_bits' => 384, 'private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1'];
		$caKey = openssl_pkey_new($options);
		$caRequest = openssl_csr_new(['commonName' => 'test CA ' . bin2hex(random_bytes(4))], $caKey, $options);
		$ca = openssl_csr_sign($caRequest, null, $caKey, 2, $options + ['x509_extensions' => 'ca'], random_int(1, PHP_INT_MAX));
		$key = openssl_pkey_new($options);
		$request = openssl_csr_new(['commonName' => 'key server'], $key, $options);
		$leaf = openssl_csr_sign($request, $ca, $caKey, 2, $options + ['x509_extensions' => 'leaf'], random_int(1, PHP_INT_MAX));
		openssl_x509_export($leaf, $leafPem);
		openssl_pkey_export($key, $keyPem, null, $options);
		openssl_x509_export($ca, $caPem);
		file_put_contents($file, $leafPem . $keyPem);
		openssl_pkey_export($caKey, $caKeyPem, null, $options);
		file_put_contents(dirname($file) . '/authority.pem', $caPem . $caKeyPem);
		unlink($config);
		return $caPem;
	}
}
