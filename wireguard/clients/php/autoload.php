<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

// Loads the classes of this client where Composer does not.
spl_autoload_register(static function (string $class): void {
	$prefix = 'LatchkeyHub\\';
	if (strncmp($class, $prefix, strlen($prefix)) !== 0) {
		return;
	}
	$file = __DIR__ . '/src/' . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
	if (is_file($file)) {
		require $file;
	}
});
