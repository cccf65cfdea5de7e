<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Storage;

use OCA\RemoteKeyStorage\Storage\WriteGuard;
use OCP\Encryption\Exceptions\GenericEncryptionException;
use PHPUnit\Framework\TestCase;

class WriteGuardTest extends TestCase {
	private object $inner;
	private int $asked = 0;

	protected function setUp(): void {
		$this->inner = new class () {
			/** @var list<string> */
			public array $done = [];
			public object $cache;

			public function note(string $what): string {
				$this->done[] = $what;
				return $what;
			}
		};
		$this->inner->cache = new class () {
			/** @var array<string, array{bool, int}> path → encrypted, size */
			public array $entries = ['secret.txt' => [true, 20], 'empty.txt' => [true, 0], 'clear.txt' => [false, 20]];

			public function get(string $path) {
				if (!isset($this->entries[$path])) {
					return false;
				}
				[$encrypted, $size] = $this->entries[$path];
				return new class ($encrypted, $size) {
					public function __construct(private bool $encrypted, private int $size) {
					}

					public function isEncrypted(): bool {
						return $this->encrypted;
					}

					public function getSize(): int {
						return $this->size;
					}
				};
			}
		};
	}

	private function guard(bool $hasKey): WriteGuard {
		$guard = new WriteGuard(['storage' => $this->inner]);
		$guard->askFirst(function () use ($hasKey): void {
			$this->asked++;
			if (!$hasKey) {
				throw new GenericEncryptionException('no key');
			}
		});
		return $guard;
	}

	/** @return array<string, array{callable(WriteGuard): mixed}> */
	public static function overwriting(): array {
		return [
			'fopen w' => [static fn (WriteGuard $guard) => $guard->fopen('secret.txt', 'w')],
			'fopen wb+' => [static fn (WriteGuard $guard) => $guard->fopen('secret.txt', 'wb+')],
			'file_put_contents' => [static fn (WriteGuard $guard) => $guard->file_put_contents('secret.txt', 'x')],
			'writeStream' => [static fn (WriteGuard $guard) => $guard->writeStream('secret.txt', null)],
		];
	}

	/** @dataProvider overwriting */
	public function testOverwritingWithoutAKeyIsRefusedBeforeAnythingHappens(callable $write): void {
		try {
			$write($this->guard(false));
			$this->fail('was not refused');
		} catch (GenericEncryptionException $e) {
			$this->assertSame([], $this->inner->done);
		}
	}

	/** @dataProvider overwriting */
	public function testOverwritingWithAKeyGoesThrough(callable $write): void {
		$write($this->guard(true));
		$this->assertCount(1, $this->inner->done);
		$this->assertSame(1, $this->asked);
	}

	public function testReadingAndAppendingAreLeftToTheEncryption(): void {
		foreach (['r', 'rb', 'r+', 'a'] as $mode) {
			$this->guard(false)->fopen('secret.txt', $mode);
		}
		$this->assertCount(4, $this->inner->done);
		$this->assertSame(0, $this->asked);
	}

	public function testFilesWithNothingToLoseAreNotGuarded(): void {
		foreach (['new.txt', 'empty.txt', 'clear.txt'] as $path) {
			$this->guard(false)->fopen($path, 'w');
		}
		$this->assertCount(3, $this->inner->done);
		$this->assertSame(0, $this->asked);
	}
}
