<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\Command;

use OCA\RemoteKeyStorage\Command\Stdin;
use OCA\RemoteKeyStorage\Escrow\Failure;
use PHPUnit\Framework\TestCase;

final class StdinTest extends TestCase {
	private const CANARY = 'canary-7f3a';

	/** @return resource */
	private static function stream(string $text) {
		$stream = fopen('php://memory', 'w+');
		fwrite($stream, $text);
		rewind($stream);
		return $stream;
	}

	/** @return array<string, array{string}> */
	public function badInput(): array {
		return [
			'no json' => ['{"grant": ' . self::CANARY],
			'a list' => ['["' . self::CANARY . '"]'],
			'an empty list' => ['[]'],
			'a text' => ['"' . self::CANARY . '"'],
			'a number' => ['1'],
			'an unknown field' => ['{"grant": "x", "' . self::CANARY . '": 1}'],
			'two objects' => ['{} {}'],
			'too deep' => [str_repeat('{"grant":', 9) . '1' . str_repeat('}', 9)],
			'too long' => ['{"grant":"' . str_repeat('x', 4194304) . '"}'],
		];
	}

	/** @dataProvider badInput */
	public function testObjectRefusesAndDoesNotQuote(string $text): void {
		try {
			Stdin::object(self::stream($text), ['grant']);
			$this->fail('not refused');
		} catch (Failure $failure) {
			$this->assertSame('invalid_request', $failure->reason());
			$this->assertStringNotContainsString(self::CANARY, $failure->getMessage() . $failure->hint());
		}
	}

	public function testObjectTakesNothingAsNothing(): void {
		$this->assertSame([], Stdin::object(self::stream(''), ['grant']));
		$this->assertSame([], Stdin::object(self::stream(" \n"), ['grant']));
		$this->assertSame([], Stdin::object(self::stream('{}'), ['grant']));
	}

	/** @return array<string, array{mixed}> */
	public function badBlobs(): array {
		return [
			'no object' => ['x'],
			'empty' => [[]],
			'not a text' => [['a' => 1]],
			'no padding' => [['a' => 'AA']],
			'white space' => [['a' => "AA\n=="]],
			'bits left over' => [['a' => 'AB==']],
			'url alphabet' => [['a' => '_-8=']],
			'nothing' => [['a' => '']],
		];
	}

	/**
	 * @dataProvider badBlobs
	 * @param mixed $keys
	 */
	public function testBlobsRefusesWhatIsNotCanonical($keys): void {
		$this->expectException(Failure::class);
		Stdin::blobs($keys);
	}

	public function testBlobsDecodes(): void {
		$this->assertSame(['a' => "\xff\x00"], Stdin::blobs(['a' => '/wA=']));
	}

	public function testFlagRefusesWordsAndNumbers(): void {
		$this->assertFalse(Stdin::flag([], 'replace'));
		$this->assertTrue(Stdin::flag(['replace' => true], 'replace'));
		foreach (['true', 1, null] as $value) {
			try {
				$flag = Stdin::flag(['replace' => $value], 'replace');
				$this->assertNull($value);
				$this->assertFalse($flag);
			} catch (Failure $failure) {
				$this->assertSame('invalid_request', $failure->reason());
			}
		}
	}
}
