<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Storage;

use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\Wire\WireError;
use OCP\Encryption\Exceptions\GenericEncryptionException;

/**
 * How "no key" reaches Nextcloud: always this one exception, which WebDAV turns into 503 so that clients try again.
 * The message goes to the administrator's log; visitors are shown the hint, which tells them nothing.
 */
class Refusal {
	private const FOR_VISITORS = 'The encryption keys are not available at the moment. Please try again later.';

	public static function because(string $message): GenericEncryptionException {
		return new GenericEncryptionException('encryption key not available: ' . $message, self::FOR_VISITORS, 503);
	}

	/** @param WireError|StateError $cause */
	public static function from(\RuntimeException $cause): GenericEncryptionException {
		$message = 'encryption key not available: ' . $cause->getMessage() . ' [' . $cause->code() . ']';
		$hint = $cause->hint();
		return new GenericEncryptionException($hint === '' ? $message : $message . '; ' . $hint, self::FOR_VISITORS, 503, $cause);
	}
}
