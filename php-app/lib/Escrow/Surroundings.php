<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Escrow;

use OC\IntegrityCheck\Checker;
use OCP\IConfig;

/** Where this Nextcloud keeps things that keys may leak into. */
final class Surroundings {
	private IConfig $config;
	private StockKeys $disk;

	public function __construct(IConfig $config, StockKeys $disk) {
		$this->config = $config;
		$this->disk = $disk;
	}

	public function dataDirectory(): string {
		return rtrim($this->config->getSystemValueString('datadirectory', \OC::$SERVERROOT . '/data'), '/');
	}

	/** @return list<array{path: string, kind: string}> */
	public function copies(): array {
		return (new CopyFinder())->find(
			$this->dataDirectory(),
			\OC::$SERVERROOT,
			$this->logs(),
			$this->sessionFolder(),
			$this->disk->localFolder(),
		);
	}

	/** Share keys sealed to something else than the master key. Walks every key folder of every user. */
	public function foreignShareKeys(): int {
		$count = 0;
		$data = $this->dataDirectory();
		foreach (scandir($data) ?: [] as $home) {
			$keys = $data . '/' . $home . '/files_encryption/keys';
			if ($home === '..' || !is_dir($keys) || !is_readable($keys)) {
				continue;
			}
			$files = new \RecursiveIteratorIterator(
				new \RecursiveDirectoryIterator($keys, \FilesystemIterator::SKIP_DOTS | \FilesystemIterator::CURRENT_AS_PATHNAME),
				\RecursiveIteratorIterator::LEAVES_ONLY,
				\RecursiveIteratorIterator::CATCH_GET_CHILD,
			);
			foreach ($files as $path) {
				$name = basename((string)$path);
				$count += substr($name, -9) === '.shareKey' && strncmp($name, 'master_', 7) !== 0 ? 1 : 0;
			}
		}
		return $count;
	}

	/** @return list<string> `core` and app ids Nextcloud's last integrity check complained about */
	public function integrity(): array {
		try {
			$results = \OCP\Server::get(Checker::class)->getResults();
		} catch (\Throwable $error) {
			return [];
		}
		$changed = [];
		foreach (is_array($results) ? $results : [] as $part => $result) {
			if (is_array($result) && $result !== []) {
				$changed[] = (string)$part;
			}
		}
		return $changed;
	}

	/** '' unless PHP keeps sessions in files. The web server's PHP may be set up differently from the command line's. */
	private function sessionFolder(): string {
		if (ini_get('session.save_handler') !== 'files') {
			return '';
		}
		$path = (string)ini_get('session.save_path');
		$path = strrpos($path, ';') === false ? $path : substr($path, strrpos($path, ';') + 1);
		return rtrim($path === '' ? sys_get_temp_dir() : $path, '/');
	}

	/** @return list<string> */
	private function logs(): array {
		$log = $this->config->getSystemValueString('logfile', '');
		$log = $log === '' ? $this->dataDirectory() . '/nextcloud.log' : $log;
		return array_values(array_unique(array_merge(
			glob($log . '*', GLOB_NOSORT) ?: [],
			glob($this->dataDirectory() . '/*.log*', GLOB_NOSORT) ?: [],
		)));
	}
}
