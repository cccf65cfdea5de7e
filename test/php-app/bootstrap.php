<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

require dirname(__DIR__, 2) . '/php-app/autoload.php';

// what the app uses of Nextcloud, in as many lines as it needs to be told apart from nothing
require __DIR__ . '/stubs/nextcloud.php';
require __DIR__ . '/stubs/storage-wrapper.php';
require __DIR__ . '/stubs/container.php';
require __DIR__ . '/stand-in/KeyServer.php';

spl_autoload_register(static function (string $class): void {
	$prefix = 'LatchkeyTest\\';
	$file = __DIR__ . '/' . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
	if (strncmp($class, $prefix, strlen($prefix)) === 0 && is_file($file)) {
		require $file;
	}
});
