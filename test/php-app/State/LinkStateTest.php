<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest\State;

use LatchkeyTest\KeyServer;
use OCA\RemoteKeyStorage\State\LinkState;
use OCA\RemoteKeyStorage\State\StateError;
use OCA\RemoteKeyStorage\State\StateFolder;
use OCA\RemoteKeyStorage\Wire\Link;
use PHPUnit\Framework\TestCase;

final class LinkStateTest extends TestCase {
	private const HEAD = ['seq' => 5, 'head' => 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'];
	private const OLD = ['seq' => 1, 'head' => 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'];
	private StateFolder $folder;
	private LinkState $links;

	protected function setUp(): void {
		$this->folder = new StateFolder(KeyServer::scratch('state'));
		$this->links = new LinkState($this->folder);
		$this->links->start(self::link(1)->text(), 1000);
	}

	public function testOneExchange(): void {
		$stamp = $this->links->stamp(2000);
		$this->assertSame([self::link(1)->text(), 2000, null], [$stamp['link']->text(), $stamp['time'], $stamp['seen']]);
		$this->assertSame(2001, $this->links->keep(self::link(1), self::link(2), 2000, self::OLD));
		$this->links->advance(self::link(2), self::HEAD);
		$stamp = $this->links->stamp(1500);
		$this->assertSame([self::link(2)->text(), 2002, self::HEAD], [$stamp['link']->text(), $stamp['time'], $stamp['seen']]);
	}

	public function testAfterACrashTheNewestStoredLinkIsUsed(): void {
		$this->links->stamp(2000);
		$this->links->keep(self::link(1), self::link(2), 2000, self::OLD);
		$again = new LinkState($this->folder);
		$this->assertSame(self::link(2)->text(), $again->stamp(2100)['link']->text());
		$again->keep(self::link(2), self::link(3), 2100, self::OLD);
		$this->assertSame(self::link(3)->text(), $again->stamp(2200)['link']->text());
	}

	public function testAnAnswerToAnotherLinkChangesNothing(): void {
		$before = $this->folder->read('link.json');
		foreach ([
			fn () => $this->links->keep(self::link(9), self::link(2), 3000, self::OLD),
			fn () => $this->links->advance(self::link(1), self::HEAD),
			fn () => $this->links->advance(self::link(2), self::HEAD),
		] as $work) {
			try {
				$work();
				$this->fail('it was taken');
			} catch (StateError $e) {
				$this->assertSame($before, $this->folder->read('link.json'));
			}
		}
	}

	/** @return array<string, array{int, int, bool}> the server's time, our stamp after its answer, whether to say it again */
	public function serverTimes(): array {
		return [
			'ahead of us' => [2000000, 1000000, true],
			'so far behind that a later stamp is just taken' => [940001, 1000000, true],
			'too far behind, not for long' => [940000, 1000000, false],
			'two minutes more behind' => [820000, 1000000, false],
			'further than anything can be under way' => [819999, 999999, false],
		];
	}

	/** @dataProvider serverTimes */
	public function testStampsGoBackOnlyAsFarAsNothingOldCanComeAfterThem(int $serverTime, int $stamp, bool $again): void {
		$this->links->stamp(1000000);
		$this->assertSame($again, $this->links->rebase($serverTime));
		$this->assertSame($stamp, $this->links->time());
	}

	public function testAfterAClockADayAheadStampsAreHeardTwoMinutesLater(): void {
		$this->links->stamp(1000000000);
		$this->assertFalse($this->links->rebase(900000000));
		$this->assertFalse($this->links->rebase(900000000 + 120000));
		$this->assertTrue($this->links->rebase(900000000 + 120001));
		$this->assertSame(900000000 + 180001, $this->links->stamp(900000000 + 120001)['time']);
	}

	public function testTheHighestHeadIsKept(): void {
		foreach ([[2, self::HEAD], [3, ['seq' => 4] + self::HEAD]] as [$number, $head]) {
			$this->links->keep(self::link($number - 1), self::link($number), 3000, self::OLD);
			$this->links->advance(self::link($number), $head);
			$this->assertSame(self::HEAD, $this->links->seen());
		}
	}

	public function testAHeadIsKeptFromEachAnswerAndNeverLowered(): void {
		$this->links->keep(self::link(1), self::link(2), 3000, self::HEAD);
		$this->assertSame(self::HEAD, $this->links->seen());
		$this->links->heard(self::OLD);
		$this->assertSame(self::HEAD, $this->links->seen());
		$newer = ['seq' => 6, 'head' => self::OLD['head']];
		$this->links->heard($newer);
		$this->assertSame($newer, $this->links->seen());
		$this->assertSame([3000, self::link(2)->text()], [$this->links->time(), $this->links->stamp(1)['link']->text()]);
	}

	public function testWhatWasSeenCanBeForgotten(): void {
		$this->links->heard(self::HEAD);
		$this->links->forgetSeen();
		$this->links->heard(self::OLD);
		$this->assertSame(self::OLD, $this->links->seen());
	}

	/** @return array<string, array{string}> */
	public function damage(): array {
		return array_map(static fn (string $text): array => [$text], [
			'empty' => '',
			'cut off' => '{"version":1,"current":"AAE',
			'another version' => '{"version":2,"current":"' . self::link(1)->text() . '","next":null,"time":1,"seen":null}',
			'a bad link' => '{"version":1,"current":"AAAA","next":null,"time":1,"seen":null}',
			'no time' => '{"version":1,"current":"' . self::link(1)->text() . '","next":null,"seen":null}',
			'time in words' => '{"version":1,"current":"' . self::link(1)->text() . '","next":null,"time":"1","seen":null}',
		]);
	}

	/** @dataProvider damage */
	public function testDamageIsNotRepairedByGuessing(string $text): void {
		$this->folder->write('link.json', $text);
		$this->assertFalse($this->links->isPresent());
		$this->expectException(StateError::class);
		$this->links->stamp(5000);
	}

	private static function link(int $number): Link {
		return Link::parse(rtrim(strtr(base64_encode(str_repeat(chr($number), 32)), '+/', '-_'), '='));
	}
}
