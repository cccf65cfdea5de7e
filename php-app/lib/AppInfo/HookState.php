<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\AppInfo;

/** How far the hook got into this process. Read by status, setup check and admin page. */
class HookState {
	private static string $hook = 'off';
	private static bool $sessions = false;
	private static ?string $failure = null;

	/** app (container override by this app) | core (patched Server.php) | off */
	public static function hook(): string {
		return self::$hook;
	}

	/** Is OCA\Encryption\Session replaced, so that no decrypted key reaches a PHP session? */
	public static function sessionsKeyFree(): bool {
		return self::$sessions;
	}

	/** Why the hook is not complete; null when nothing failed. No secrets. Remote keys are refused while it is not null. */
	public static function failure(): ?string {
		return self::$failure;
	}

	/** Why a remote key must not be handed out in this process, or null. Only a web server keeps sessions anywhere but in RAM. */
	public static function risk(string $sapi): ?string {
		if (self::$failure === null && !self::$sessions && $sapi !== 'cli' && $sapi !== 'phpdbg') {
			return 'sessions are not kept free of the key';
		}
		return self::$failure;
	}

	/** @internal @param 'app'|'core' $hook */
	public static function storageInstalled(string $hook): void {
		self::$hook = $hook;
	}

	/** @internal */
	public static function sessionsInstalled(): void {
		self::$sessions = true;
	}

	/** @internal */
	public static function failed(string $what, \Throwable $cause): void {
		self::$failure = $what . ' (' . get_class($cause) . ' in ' . basename($cause->getFile()) . ':' . $cause->getLine() . ')';
	}
}
