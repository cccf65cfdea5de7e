<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyHub;

use LatchkeyHub\Exception\HubException;
use LatchkeyHub\Exception\InvalidRequest;

/** One hub. Every call throws a HubException for whatever went wrong; nothing is sent twice. */
final class Client {
	private const LOOPBACK = '/\A(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])\z/';

	private readonly string $server;

	/**
	 * @param string $url `https://hub.example`, with a port where it is not 443
	 * @param string|\Closure(): string $token an API token with the scope `devices`; or what makes a JWT, asked before each call
	 * @param float $timeout seconds that a call may take, all in all
	 * @param float $connectTimeout seconds of them for the connection
	 * @param string|null $caFile certificates (PEM) to be believed in place of the system's own
	 * @param bool $plainHttpInsideTunnel lets http: through to addresses that are not this machine's: the token then travels in clear,
	 *     and only a tunnel around it keeps it from others
	 */
	public function __construct(
		string $url,
		#[\SensitiveParameter]
		private readonly string|\Closure $token,
		private readonly float $timeout = 10.0,
		private readonly float $connectTimeout = 3.0,
		private readonly ?string $caFile = null,
		bool $plainHttpInsideTunnel = false
	) {
		if (preg_match('~\A(https?)://([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:\d{1,5})?/?\z~i', $url, $match) !== 1) {
			throw new \InvalidArgumentException('the URL of a hub must be https://host or https://host:port');
		}
		if (strtolower($match[1]) === 'http' && !$plainHttpInsideTunnel && preg_match(self::LOOPBACK, $match[2]) !== 1) {
			throw new \InvalidArgumentException('the URL of a hub must begin with https:, except on this machine and inside of a tunnel');
		}
		if ($timeout < 0.001 || $connectTimeout < 0.001) {
			throw new \InvalidArgumentException('timeouts must be more than nothing: 0 would be for ever');
		}
		$this->server = rtrim($url, '/');
	}

	/**
	 * Makes a device for a user.
	 *
	 * @param string|null $interface of the hub; its first unless told
	 * @param string|null $client the program that is to take the configuration, such as `wireguard` or `amneziawg-android`
	 * @throws HubException PoolExhausted, ClientUnfit, InvalidRequest, …
	 */
	public function create(string $userId, string $deviceName, ?string $interface = null, ?string $client = null): Device {
		$fields = ['user_id' => $userId, 'device_name' => $deviceName, 'interface' => $interface, 'client' => $client];
		$given = array_filter($fields, static fn (?string $value): bool => $value !== null);
		return Device::from($this->send($this->post('/api/create-peer', $given)));
	}

	/**
	 * Removes a device; its address is free again.
	 *
	 * @throws HubException NotFound for one that is not there, or no longer
	 */
	public function remove(string $publicKey): void {
		$this->send($this->post('/api/remove-peer', ['public_key' => $publicKey]));
	}

	/**
	 * All devices of an interface, the oldest first; asked for by the page, as the loop gets there.
	 *
	 * @param int $perPage from 1 to 1000
	 * @return \Generator<int, ListedDevice>
	 * @throws HubException
	 */
	public function list(?string $interface = null, int $perPage = 1000): \Generator {
		$after = null;
		do {
			$query = ['interface' => $interface, 'limit' => (string)$perPage, 'after' => $after];
			$answer = $this->send($this->get('/api/list-peers', $query));
			foreach ($answer->rows('peers') as $row) {
				yield ListedDevice::from($row);
			}
			$after = $answer->textOrNull('next');
		} while ($after !== null);
	}

	/** @throws HubException */
	public function serverInfo(?string $interface = null): ServerInfo {
		return ServerInfo::from($this->send($this->infoRequest($interface)));
	}

	/** @throws HubException when nobody answers; a hub that is degraded does */
	public function health(): Health {
		return Health::from($this->send($this->request('GET', '/api/health', null, [])));
	}

	/** @internal */
	public function infoRequest(?string $interface = null): Request {
		return $this->get('/api/server-info', ['interface' => $interface]);
	}

	/** @return array<string, mixed> for var_dump() and the like: without the token */
	public function __debugInfo(): array {
		return ['server' => $this->server];
	}

	/** @return array<string, mixed> */
	public function __serialize(): array {
		throw new \LogicException('a client holds a token and is not to be serialized');
	}

	/** @param array<string, string|null> $query */
	private function get(string $path, array $query): Request {
		$text = http_build_query($query, '', '&', PHP_QUERY_RFC3986);
		return $this->request('GET', $text === '' ? $path : $path . '?' . $text, null, [$this->authorization()]);
	}

	/** @param array<string, string> $fields */
	private function post(string $path, array $fields): Request {
		try {
			$body = json_encode((object)$fields, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
		} catch (\JsonException) {
			throw new InvalidRequest('what is sent to a hub must be UTF-8', 'invalid_request');
		}
		return $this->request('POST', $path, $body, [$this->authorization(), 'Content-Type: application/json']);
	}

	/** @param list<string> $headers */
	private function request(string $method, string $path, ?string $body, #[\SensitiveParameter] array $headers): Request {
		$all = array_merge($headers, ['Accept: application/json, application/problem+json', 'Expect:']);
		return new Request(
			$this->server,
			$method,
			$this->server . $path,
			$all,
			$body,
			$this->timeout,
			$this->connectTimeout,
			$this->caFile
		);
	}

	private function authorization(): string {
		$token = is_string($this->token) ? $this->token : ($this->token)();
		if (preg_match('/\A[\x21-\x7e]{1,8192}\z/', $token) !== 1) {
			throw new \InvalidArgumentException('the token of a hub must be printable, on one line, and not empty');
		}
		return 'Authorization: Bearer ' . $token;
	}

	private function send(Request $request): Answer {
		$answer = Transport::send(['hub' => $request])['hub'];
		return $answer instanceof HubException ? throw $answer : $answer;
	}
}
