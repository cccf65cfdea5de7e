<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Storage;

use OCA\RemoteKeyStorage\Storage\Reason;
use PHPUnit\Framework\TestCase;

final class ReasonTest extends TestCase {
	/** @return array<string, array{string, bool, string, list<string>}> */
	public function cases(): array {
		return [
			'first' => ['cold', true, 'fpm-fcgi', []],
			'renewed' => ['expired', false, 'fpm-fcgi', []],
			'occ' => ['cli:files:scan', true, 'cli', ['occ', '--no-warnings', 'files:scan', 'admin']],
			'occ by path' => ['cli:files:scan', false, 'cli', ['/var/www/nextcloud/occ', 'files:scan']],
			'cron' => ['cli:cron', true, 'cli', ['/var/www/nextcloud/cron.php']],
			'occ alone' => ['cli:occ', true, 'cli', ['occ']],
			'nothing' => ['cli:php', true, 'cli', []],
			'strange' => ['cli:a-b', true, 'cli', ["a\r\n\"b"]],
			'hidden' => ['cli:php', true, 'cli', ['/x/-']],
			'long' => ['cli:' . str_repeat('a', 48), true, 'cli', [str_repeat('A', 400)]],
		];
	}

	/**
	 * @dataProvider cases
	 * @param list<string> $arguments
	 */
	public function testSaysWhatAsks(string $reason, bool $cold, string $sapi, array $arguments): void {
		$this->assertSame($reason, Reason::of($cold, $sapi, $arguments));
	}
}
