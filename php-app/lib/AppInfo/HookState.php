<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\AppInfo;

/** How far the hook got into this process. Read by status, setup check and admin page. */
class HookState {
	/** app (container override by this app) | core (patched Server.php) | off */
	public static function hook(): string {
		throw new \LogicException('not built yet');
	}

	/** Is OCA\Encryption\Session replaced, so that no decrypted key reaches a PHP session? */
	public static function sessionsKeyFree(): bool {
		throw new \LogicException('not built yet');
	}

	/** Why the hook is not complete; null when nothing failed. No secrets. */
	public static function failure(): ?string {
		throw new \LogicException('not built yet');
	}
}
