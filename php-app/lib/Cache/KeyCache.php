<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Cache;

use OCA\RemoteKeyStorage\State\PurgeMarker;

/** Released keys in RAM: APCu under a web server, a 0600 file on tmpfs under CLI, else this process alone. */
class KeyCache {
	private RamStore $store;
	private PurgeMarker $marker;
	/** @var callable(): list<string> */
	private $keyIds;
	/** @var callable(): int */
	private $clock;

	/**
	 * @param callable(): list<string> $keyIds the ids that may be cached
	 * @param (callable(): int)|null $clock ms since 1970
	 */
	public function __construct(RamStore $store, PurgeMarker $marker, callable $keyIds, ?callable $clock = null) {
		$this->store = $store;
		$this->marker = $marker;
		$this->keyIds = $keyIds;
		$this->clock = $clock ?? static fn (): int => (int)(microtime(true) * 1000);
	}

	/** The best store of this SAPI. @param string $prefix keeps instances on one machine apart */
	public static function bestStore(string $prefix): RamStore {
		return ApcuStore::isUsable() ? new ApcuStore($prefix) : TmpfsStore::find($prefix) ?? new ProcessStore();
	}

	/** @return Entry|null null when there is none that may serve; one that may not is dropped */
	public function read(string $keyId): ?Entry {
		$text = $this->store->get($keyId);
		if ($text === null) {
			return null;
		}
		$entry = Entry::parse($text);
		if ($entry === null || !$entry->isUsable(($this->clock)(), $this->marker->stamp())) {
			$this->store->delete($keyId);
			return null;
		}
		return $entry;
	}

	public function write(string $keyId, Entry $entry): void {
		if ($entry->lifetime() > 0) {
			$this->store->set($keyId, $entry->toText(), $entry->lifetime());
		}
	}

	/** Drop what may no longer serve, so that it does not lie in RAM until somebody asks. */
	public function sweep(): void {
		foreach (($this->keyIds)() as $keyId) {
			$this->read($keyId);
		}
	}

	/** Drop the keys held by this SAPI. Other SAPIs: PurgeMarker::raise(). */
	public function forget(): void {
		foreach (($this->keyIds)() as $keyId) {
			$this->store->delete($keyId);
		}
	}

	/** apcu | tmpfs | process */
	public function storeName(): string {
		return $this->store->name();
	}

	/** Seconds since the key was released, as this SAPI sees it; null when it is not cached or no longer valid. */
	public function age(string $keyId): ?int {
		$entry = $this->read($keyId);
		return $entry === null ? null : $entry->age(($this->clock)());
	}

	/**
	 * @return array{apcu: bool, tmpfs: string|null, store: string} usable APCu here, tmpfs folder in use or null
	 */
	public function describe(): array {
		return [
			'apcu' => $this->store instanceof ApcuStore,
			'tmpfs' => $this->store instanceof TmpfsStore ? $this->store->folder() : null,
			'store' => $this->store->name(),
		];
	}
}
