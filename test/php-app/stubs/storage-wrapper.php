<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OC\Files\Storage\Wrapper;

/** Nextcloud's storage wrapper, as far as the write guard uses it: everything goes to the storage inside. */
class Wrapper {
	protected $storage;

	public function __construct(array $parameters) {
		$this->storage = $parameters['storage'];
	}

	public function getCache(string $path = '', $storage = null) {
		return $this->storage->cache;
	}

	public function fopen(string $path, string $mode) {
		return $this->storage->note("fopen $path $mode");
	}

	public function file_put_contents(string $path, mixed $data): int|float|false {
		return strlen($this->storage->note("file_put_contents $path"));
	}

	public function writeStream(string $path, $stream, ?int $size = null): int {
		return strlen($this->storage->note("writeStream $path"));
	}
}
