<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

// Loads this app's classes where Nextcloud's loader does not run: heartbeat script, patched Server.php, tests.
spl_autoload_register(static function (string $class): void {
	$prefix = 'OCA\\RemoteKeyStorage\\';
	if (strncmp($class, $prefix, strlen($prefix)) !== 0) {
		return;
	}
	$file = __DIR__ . '/lib/' . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
	if (is_file($file)) {
		require $file;
	}
});
