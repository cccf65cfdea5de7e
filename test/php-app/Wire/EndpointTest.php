<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Wire;

use OCA\RemoteKeyStorage\Wire\Endpoint;
use PHPUnit\Framework\TestCase;

final class EndpointTest extends TestCase {
	public function testTakesHostsAndPorts(): void {
		foreach (['https://keys.example', 'https://10.7.0.1:8443', 'https://[fd00::1]:8443', 'http://127.0.0.1:1', 'http://[::1]:80'] as $url) {
			$this->assertSame($url . '/v1/open', Endpoint::parse($url)->at('/v1/open'));
		}
		$this->assertSame('https://keys.example', Endpoint::parse('https://keys.example/')->base());
	}

	/** @return array<string, array{string}> */
	public function wrongUrls(): array {
		return array_map(static fn (string $url): array => [$url], [
			'nothing' => '',
			'no scheme' => 'keys.example',
			'plain on a network' => 'http://10.7.0.1',
			'plain on a name that begins like loopback' => 'http://127.0.0.1.example',
			'another scheme' => 'file:///etc/passwd',
			'a path' => 'https://keys.example/x',
			'a user' => 'https://root@keys.example',
			'a query' => 'https://keys.example?x',
			'a fragment' => 'https://keys.example#x',
			'port 0' => 'https://keys.example:0',
			'a port too far' => 'https://keys.example:65536',
			'a line end' => "https://keys.example\n",
		]);
	}

	/** @dataProvider wrongUrls */
	public function testRefuses(string $url): void {
		$this->assertNull(Endpoint::parse($url));
	}
}
