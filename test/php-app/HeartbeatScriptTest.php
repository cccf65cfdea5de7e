<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest;

use PHPUnit\Framework\TestCase;

final class HeartbeatScriptTest extends TestCase {
	private const SCRIPT = __DIR__ . '/../../php-app/bin/heartbeat.php';

	/**
	 * @param list<string> $arguments
	 * @return array{int, string, string} exit code, stdout, stderr
	 */
	private static function beat(array $arguments): array {
		$process = proc_open([PHP_BINARY, self::SCRIPT, ...$arguments], [1 => ['pipe', 'w'], 2 => ['pipe', 'w']], $pipes);
		$out = stream_get_contents($pipes[1]);
		$err = stream_get_contents($pipes[2]);
		return [proc_close($process), $out, $err];
	}

	public function testRefusesUnknownArguments(): void {
		[$exit, $out] = self::beat(['--token=canary']);
		$this->assertSame(2, $exit);
		$this->assertSame('', $out);
	}

	public function testTellsWhenThereIsNoStateFolder(): void {
		[$exit, $out] = self::beat(['--config=/nowhere/config.php', '--json']);
		$this->assertSame(1, $exit);
		$this->assertSame('not_enrolled', json_decode($out, true)['error']['code']);
	}

	public function testTellsWhenTheKeyServerIsAway(): void {
		$server = new KeyServer();
		$dir = $server->enrolled([]);
		$server->stop();
		[$exit, $out] = self::beat(['--dir=' . $dir, '--json']);
		$this->assertSame(1, $exit);
		$this->assertSame('unreachable', json_decode($out, true)['error']['code']);
	}

	public function testIsSilentWhenAllIsWell(): void {
		$server = new KeyServer();
		$dir = $server->enrolled([]);
		$this->assertSame([0, '', ''], self::beat(['--dir=' . $dir]));
		$this->assertCount(1, $server->requests('POST /v1/heartbeat'));
	}

	public function testFindsTheFolderInConfig(): void {
		$server = new KeyServer();
		$dir = $server->enrolled([]);
		$config = KeyServer::scratch('config') . '/config.php';
		file_put_contents($config, '<?php $CONFIG = ' . var_export(['remotekeystorage.dir' => $dir, 'instanceid' => 'oc1'], true) . ';');
		$this->assertSame([0, "{\"state\":\"ok\"}\n", ''], self::beat(['--config=' . $config, '--json']));
	}

	public function testPurgeTouchesTheMarker(): void {
		$server = new KeyServer();
		$dir = $server->enrolled([]);
		$server->behave(['/v1/heartbeat' => [200, [
			'state' => 'purge', 'policy' => ['ttl' => 1, 'staleIfError' => 1], 'head' => ['seq' => 9, 'hash' => str_repeat('a', 64)],
		]]]);
		$this->assertFileDoesNotExist($dir . '/purge');
		[$exit, $out] = self::beat(['--dir=' . $dir, '--json']);
		$this->assertSame([0, "{\"state\":\"purge\"}\n"], [$exit, $out]);
		$this->assertFileExists($dir . '/purge');
	}
}
