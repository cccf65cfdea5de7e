<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

// One of many PHP workers: php worker.php STATE-FOLDER RAM-FOLDER KEY-ID prints the SHA-256 of the opened key.

require dirname(__DIR__) . '/bootstrap.php';

[$script, $dir, $ram, $keyId] = $argv;
$host = OCA\RemoteKeyStorage\Host::at($dir, 'secret', 'instance', new OCA\RemoteKeyStorage\Cache\TmpfsStore($ram, 't:'));
echo hash('sha256', $host->rewrap()->open($host->keys()->get($keyId), 'master_1'));
