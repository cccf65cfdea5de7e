<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Storage;

use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\Wire\WireError;
use OCP\Encryption\Exceptions\GenericEncryptionException;

/**
 * How "no key" reaches Nextcloud: always this one exception, which WebDAV turns into 503 so that clients try again.
 * WebDAV shows its message to whoever asks, holders of a public link too, so that names the code and nothing else; what
 * an administrator needs is in the exception before it and in the log.
 */
class Refusal {
	private const FOR_EVERYBODY = 'the encryption keys are not available at the moment, please try again later';

	public static function because(string $message, string $hint = ''): GenericEncryptionException {
		return self::from(new StateError('refused', $message, $hint));
	}

	/** @param WireError|StateError $cause */
	public static function from(\RuntimeException $cause): GenericEncryptionException {
		return new GenericEncryptionException(self::FOR_EVERYBODY . ' [' . $cause->code() . ']', self::FOR_EVERYBODY, 503, $cause);
	}

	/** The whole story, for the log and the command line. */
	public static function story(\Throwable $refusal): string {
		$cause = $refusal->getPrevious();
		if (!$cause instanceof WireError && !$cause instanceof StateError) {
			return $refusal->getMessage();
		}
		return 'encryption key not available: ' . $cause->getMessage() . ($cause->hint() === '' ? '' : '; ' . $cause->hint());
	}
}
