<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Wire;

use OCA\RemoteKeyStorage\Wire\UrlList;
use PHPUnit\Framework\TestCase;

final class UrlListTest extends TestCase {
	private const A = 'https://10.86.0.1:8443';

	/** @return array<string, array{mixed}> */
	public function others(): array {
		return [
			'none' => [[]], 'no list' => [self::A], 'null' => [null], 'one that is no text' => [[7]], 'an empty one' => [['']],
			'a path' => [[self::A . '/keys']], 'a slash' => [[self::A . '/']], 'a query' => [[self::A . '?x']], 'a user' => [['https://u@10.86.0.1']],
			'plain http' => [['http://10.86.0.1:8443']], 'another scheme' => [['ftp://10.86.0.1']], 'no scheme' => [['10.86.0.1:8443']],
			'a line end' => [[self::A . "\n"]], 'a blank' => [[' ' . self::A]], 'port 0' => [['https://10.86.0.1:0']],
			'the same twice' => [[self::A, self::A]], 'nine' => [array_map(static fn (int $i): string => "https://10.86.0.$i", range(1, 9))],
			'a good one and a bad one' => [[self::A, 'keys']],
		];
	}

	/**
	 * @dataProvider others
	 * @param mixed $urls
	 */
	public function testRefuses($urls): void {
		$this->assertNull(UrlList::parse($urls));
	}

	public function testTakesUpToEightInTheirOrder(): void {
		$urls = array_map(static fn (int $i): string => 'https://10.86.0.' . (9 - $i), range(1, 8));
		$this->assertSame($urls, UrlList::parse($urls));
		$mixed = ['http://127.0.0.1:8443', 'https://[fd00::1]:8443', 'https://keys.home.arpa'];
		$this->assertSame($mixed, UrlList::parse(['x' => $mixed[0], 'y' => $mixed[1], 'z' => $mixed[2]]));
	}
}
