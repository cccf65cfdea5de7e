<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Escrow;

use OCA\RemoteKeyStorage\Escrow\Custody;
use OCA\RemoteKeyStorage\Escrow\Failure;
use OCA\RemoteKeyStorage\Escrow\KeyId;
use OCA\RemoteKeyStorage\Escrow\KeysOnDisk;
use OCA\RemoteKeyStorage\Escrow\MovedKeys;
use OCA\RemoteKeyStorage\Escrow\Proof;

/**
 * A disk, a key server and client.json in memory, with a power cut before any chosen step. After the cut nothing
 * happens any more until revive(), just as no `finally` runs in a process that is gone.
 */
final class World implements KeysOnDisk, Custody, Proof {
	public const MASTER = 'master_1.privateKey';
	public const SHARE = 'pubShare_1.privateKey';

	/** @var array<string, string> */
	public array $disk = [self::MASTER => 'master blob', self::SHARE => 'share blob'];
	/** @var array<string, string> */
	public array $server = [];
	/** @var list<string> */
	public array $moved = [];
	public ?string $masterKeyId = null;
	/** @var array<string, string> what opens here */
	public array $genuine = [self::MASTER => 'master blob', self::SHARE => 'share blob'];
	public string $hook = 'app';
	public string $grant = 'grant';
	public bool $reachable = true;
	public bool $liveFails = false;
	/** @var (callable(): void)|null runs once after client.json was written */
	public $afterMoved = null;
	/** @var list<string> */
	public array $steps = [];
	private ?int $cut = null;
	private bool $dead = false;

	public function cutBefore(int $step): void {
		$this->cut = $step;
	}

	public function revive(): void {
		$this->cut = null;
		$this->dead = false;
		$this->steps = [];
	}

	/** @return string|null what is wrong with the copies of a key now */
	public function harm(): ?string {
		foreach ($this->genuine as $id => $blob) {
			$local = ($this->disk[$id] ?? null) === $blob;
			$remote = ($this->server[$id] ?? null) === $blob;
			if (!$local && !$remote) {
				return $id . ' has no copy at all';
			}
			if (in_array($id, $this->moved, true) ? !$remote && $this->reachable : !$local) {
				return $id . ' is not where Nextcloud looks for it';
			}
		}
		return null;
	}

	private function step(string $what): void {
		if ($this->dead || $this->cut === count($this->steps)) {
			$this->dead = true;
			throw new PowerCut($what);
		}
		$this->steps[] = $what;
	}

	public function ids(): array {
		$names = array_map('strval', array_keys($this->disk));
		sort($names);
		return array_values(array_filter($names, [KeyId::class, 'isPrivate']));
	}

	public function read(string $id): ?string {
		$this->step('read ' . $id);
		if (($this->disk[$id] ?? null) === 'torn') {
			throw new Failure('local_key_unreadable', $id);
		}
		return $this->disk[$id] ?? null;
	}

	public function write(string $id, string $blob): void {
		$this->step('write ' . $id);
		$this->disk[$id] = $blob;
	}

	public function remove(string $id): void {
		$this->step('remove ' . $id);
		unset($this->disk[$id]);
	}

	public function publicHalf(string $id): ?string {
		return 'public';
	}

	public function release(array $ids, string $reason): array {
		$this->step('release');
		if (!$this->reachable) {
			throw new Failure('unreachable', 'no answer');
		}
		$released = array_intersect_key($this->server, array_flip($ids));
		if (count($released) !== count($ids)) {
			throw new Failure('not_found', 'no such key');
		}
		return $released;
	}

	public function store(string $id, string $blob, string $grant): void {
		$this->step('store ' . $id);
		if (!$this->reachable) {
			throw new Failure('unreachable', 'no answer');
		}
		if ($grant !== $this->grant) {
			throw new Failure('grant_refused', 'no');
		}
		if (isset($this->server[$id]) && $this->server[$id] !== $blob) {
			throw new Failure('key_exists', 'no');
		}
		$this->server[$id] = $blob;
	}

	/** The list of moved keys has the same name as the list of files; a view of its own keeps them apart. */
	public function movedKeys(): MovedKeys {
		return new class ($this) implements MovedKeys {
			private World $world;

			public function __construct(World $world) {
				$this->world = $world;
			}

			public function ids(): array {
				return $this->world->moved;
			}

			public function replace(array $ids, ?string $masterKeyId): void {
				$this->world->replace($ids, $masterKeyId);
			}

			public function dropCaches(): void {
				$this->world->dropCaches();
			}
		};
	}

	public function replace(array $ids, ?string $masterKeyId): void {
		$this->step('replace ' . count($ids));
		$this->moved = $ids;
		$this->masterKeyId = $masterKeyId ?? $this->masterKeyId;
		if ($this->afterMoved !== null) {
			$then = $this->afterMoved;
			$this->afterMoved = null;
			$then();
		}
	}

	public function dropCaches(): void {
		$this->step('drop caches');
	}

	public function opens(string $id, string $blob): ?bool {
		if (KeyId::isMaster($id) || KeyId::isPublicShare($id)) {
			return ($this->genuine[$id] ?? null) === $blob;
		}
		return null;
	}

	public function files(string $masterId, string $blob, bool $asNextcloud): int {
		$this->step('files');
		return 3;
	}

	public function live(string $id): string {
		$this->step('live');
		$blob = in_array($id, $this->moved, true) ? ($this->server[$id] ?? '') : ($this->disk[$id] ?? '');
		if ($blob === '' || $this->liveFails) {
			throw new Failure('unreachable', 'no answer');
		}
		return $blob;
	}

	public function hook(): string {
		return $this->hook;
	}
}
