#!/usr/bin/env php
<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

// One heartbeat to the key server without starting Nextcloud, for a systemd timer or cron every minute, as the user
// that owns config.php:  php heartbeat.php [--dir=STATE_FOLDER | --config=CONFIG_PHP] [--json]

use OCA\RemoteKeyStorage\Host;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\Wire\WireError;

if (PHP_SAPI !== 'cli') {
	http_response_code(404);
	exit(1);
}
require __DIR__ . '/../autoload.php';

/** @return array{dir: string, instanceid: string} */
$fromConfig = static function (string $file): array {
	$CONFIG = [];
	include $file;
	return [
		'dir' => is_string($CONFIG[Host::CONFIG_DIR] ?? null) ? $CONFIG[Host::CONFIG_DIR] : '',
		'instanceid' => is_string($CONFIG['instanceid'] ?? null) ? $CONFIG['instanceid'] : '',
	];
};

$json = false;
$say = static function (array $result, string $text, bool $isGood) use (&$json): void {
	if ($json) {
		fwrite(STDOUT, json_encode($result, JSON_UNESCAPED_SLASHES) . "\n");
	} elseif (!$isGood) {
		fwrite(STDERR, 'heartbeat: ' . $text . "\n");
	}
};
$refuse = static function (string $code, string $message, string $hint) use ($say): void {
	$say(
		['error' => ['code' => $code, 'message' => $message, 'hint' => $hint]],
		'error: ' . $message . ' (' . $code . ')' . ($hint === '' ? '' : "\nheartbeat: hint: " . $hint),
		false,
	);
};

$dir = '';
$instance = '';
$configFolder = getenv('NEXTCLOUD_CONFIG_DIR');
$config = ($configFolder === false ? dirname(__DIR__, 3) . '/config' : rtrim($configFolder, '/')) . '/config.php';
foreach (array_slice($argv, 1) as $argument) {
	if (strncmp($argument, '--dir=', 6) === 0) {
		$dir = substr($argument, 6);
	} elseif (strncmp($argument, '--config=', 9) === 0) {
		$config = substr($argument, 9);
	} elseif ($argument === '--json') {
		$json = true;
	} else {
		fwrite(STDERR, "heartbeat: error: usage: heartbeat.php [--dir=STATE_FOLDER | --config=CONFIG_PHP] [--json]\n");
		exit(2);
	}
}
// the caches are told apart by the instance id too, so config.php is read whenever it is there
if (is_readable($config)) {
	$found = $fromConfig($config);
	$instance = $found['instanceid'];
	$dir = $dir === '' ? $found['dir'] : $dir;
}
if ($dir === '') {
	$refuse('not_enrolled', 'no state folder: "' . Host::CONFIG_DIR . '" was not found in ' . $config, 'name it with --dir=');
	exit(1);
}
try {
	$state = Host::at($dir, '', $instance)->heartbeat()['state'];
} catch (WireError | StateError $error) {
	$refuse($error->code(), $error->getMessage(), $error->hint());
	exit(1);
}
$say(['state' => $state], 'the key server told this host to drop its keys', $state === 'ok');
exit(0);
