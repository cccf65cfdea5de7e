<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/**
 * Which keys a new enrolment finds moved already: after a reset of the client, or when the state folder was lost
 * while the keys were away.
 */
final class Adoption {
	/**
	 * @param list<string> $before moved according to the enrolment that is replaced
	 * @param list<string> $stored what the key server holds for this client
	 * @param list<string> $local private keys on this disk
	 * @return list<string>
	 */
	public static function keys(array $before, array $stored, array $local): array {
		$away = array_filter(
			array_diff($stored, $local),
			static fn (string $id): bool => KeyId::isPrivate($id),
		);
		$keys = array_values(array_unique(array_merge($before, $away)));
		sort($keys);
		return $keys;
	}

	/**
	 * The master key id to pin: the one pinned before, else the only master key among those moved.
	 *
	 * @param list<string> $keys
	 */
	public static function masterKeyId(?string $before, array $keys): ?string {
		$masters = array_values(array_filter($keys, [KeyId::class, 'isMaster']));
		return $before ?? (count($masters) === 1 ? KeyId::owner($masters[0]) : null);
	}
}
