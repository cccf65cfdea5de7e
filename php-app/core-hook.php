<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

// What a patched Server.php ("ncpatch apply --hook core") loads from its constructor, whether or not the app is switched
// on. While this file is missing or broken, that Server.php hands out no key storage at all.

require_once __DIR__ . '/autoload.php';

return static function (\Psr\Container\ContainerInterface $server): void {
	\OCA\RemoteKeyStorage\AppInfo\CoreHook::install($server);
};
