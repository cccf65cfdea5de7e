<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Wire;

/** Messages to the key server that belong together, whichever of its machines answers. */
class Conversation {
	/**
	 * A conversation is held with one server from its first message to its last. When it breaks, at whatever message, the
	 * next server begins at the first again: with the newest link on disk, as after any doubt. A server that is not the last
	 * may take half of the time that is left.
	 *
	 * @param array{certificate: string, key: string}|null $shown
	 * @param callable(Transport, string): array<string, mixed> $conversation
	 * @return array<string, mixed>
	 */
	public static function hold(ServerList $servers, string $caFile, ?array $shown, callable $conversation): array {
		$deadline = microtime(true) + Transport::EXCHANGE_SECONDS;
		$failure = new WireError('unreachable', 'no key server URL is given');
		$urls = $servers->inOrder();
		foreach ($urls as $index => $url) {
			$endpoint = Endpoint::parse($url);
			if ($endpoint === null) {
				throw new WireError('unreachable', 'a key server URL must be https://host[:port], without a path');
			}
			$left = $deadline - microtime(true);
			if ($left <= 0) {
				break;
			}
			$seconds = $index === count($urls) - 1 ? $left : $left / 2;
			try {
				$answer = $conversation(new Transport($endpoint, $caFile, null, $seconds, $shown), $url);
				$servers->answered($url);
				return $answer;
			} catch (WireError $e) {
				$failure = $e;
				if (!$e->isElsewhereWorthTrying()) {
					$servers->answered($url);
					break;
				}
				$servers->failed($url);
			}
		}
		throw $failure;
	}
}
