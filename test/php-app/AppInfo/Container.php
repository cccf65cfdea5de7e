<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\AppInfo;

use Psr\Container\ContainerInterface;

/** A container that keeps what its factories make, as Nextcloud's does. */
final class Container implements ContainerInterface, \ArrayAccess {
	/** @var array<string, callable> */
	private array $factories = [];
	/** @var array<string, mixed> */
	private array $made = [];

	public function registerService(string $id, callable $factory): void {
		unset($this->made[$id]);
		$this->factories[$id] = $factory;
	}

	public function get(string $id) {
		if (!isset($this->factories[$id])) {
			throw new \OutOfBoundsException("$id is not known");
		}
		return $this->made[$id] ??= ($this->factories[$id])($this);
	}

	public function has(string $id): bool {
		return isset($this->factories[$id]);
	}

	public function offsetExists($id): bool {
		return $this->has($id);
	}

	public function offsetGet($id): mixed {
		return $this->get($id);
	}

	public function offsetSet($id, $value): void {
		throw new \LogicException();
	}

	public function offsetUnset($id): void {
		throw new \LogicException();
	}
}
