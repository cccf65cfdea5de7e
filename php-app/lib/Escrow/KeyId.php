<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

/**
 * Names of private system keys: what both Nextcloud's key folder and the wire protocol accept.
 */
final class KeyId {
	private const PATTERN = '/\A[A-Za-z0-9_-][A-Za-z0-9_.-]{0,116}\.privateKey\z/';

	public static function isPrivate(string $id): bool {
		return preg_match(self::PATTERN, $id) === 1;
	}

	/** @throws Failure `invalid_request` */
	public static function assertPrivate(string $id): void {
		if (!self::isPrivate($id)) {
			throw new Failure('invalid_request', '"keys" must name private system keys such as master_x.privateKey');
		}
	}

	/** `master_x.privateKey` → `master_x.publicKey` */
	public static function publicHalf(string $id): string {
		return substr($id, 0, -strlen('privateKey')) . 'publicKey';
	}

	/** `master_x.privateKey` → `master_x`, the id Nextcloud uses in share key names and as salt */
	public static function owner(string $id): string {
		return substr($id, 0, -strlen('.privateKey'));
	}

	public static function isMaster(string $id): bool {
		return strncmp($id, 'master_', 7) === 0;
	}

	public static function isPublicShare(string $id): bool {
		return strncmp($id, 'pubShare_', 9) === 0;
	}
}
