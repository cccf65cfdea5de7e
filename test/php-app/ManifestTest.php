<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace LatchkeyTest;

use OCA\RemoteKeyStorage\Escrow\Report;
use PHPUnit\Framework\TestCase;

/** What Nextcloud reads of this app before any of its code runs. */
final class ManifestTest extends TestCase {
	private const APP = __DIR__ . '/../../php-app';

	private \SimpleXMLElement $info;

	protected function setUp(): void {
		$this->info = simplexml_load_file(self::APP . '/appinfo/info.xml');
	}

	public function testEveryClassItNamesIsThere(): void {
		$names = [
			...$this->info->xpath('//commands/command'),
			...$this->info->xpath('//settings/*'),
			...$this->info->xpath('//background-jobs/job'),
		];
		$this->assertCount(12, $names);
		foreach ($names as $name) {
			$path = str_replace(['OCA\\RemoteKeyStorage\\', '\\'], ['/lib/', '/'], (string)$name) . '.php';
			$this->assertFileExists(self::APP . $path);
		}
	}

	public function testNothingRunsWhenNextcloudSwitchesItOff(): void {
		$this->assertSame([], $this->info->xpath('//repair-steps'));
	}

	public function testItIsNeverTooOldAndNeverForSomeGroupsOnly(): void {
		$this->assertSame('28', (string)$this->info->dependencies->nextcloud['min-version']);
		$this->assertSame('99', (string)$this->info->dependencies->nextcloud['max-version']);
		$this->assertCount(1, $this->info->xpath('//types/prevent_group_restriction'));
	}

	public function testNoAddressInItLeadsToThisMachineOrNowhere(): void {
		foreach ($this->info->xpath('//bugs | //website | //repository | //documentation/*') as $address) {
			$this->assertDoesNotMatchRegularExpression('#//(localhost|127\.|\[|[^/]*\.?example\b|[^/]*\.(invalid|test)\b)#', (string)$address);
		}
		$this->assertSame('remotekeystorage', (string)$this->info->id);
	}

	public function testItIsNotSigned(): void {
		$this->assertFileDoesNotExist(self::APP . '/appinfo/signature.json');
	}

	public function testTheReportTellsTheSameVersion(): void {
		$this->assertSame((string)$this->info->version, Report::VERSION);
	}

	public function testThePageHasNoScriptsAndNoForeignAddresses(): void {
		foreach (['/templates/admin.php', '/css/admin.css', '/img/app.svg', '/img/app-dark.svg'] as $file) {
			$text = str_replace('http://www.w3.org/2000/svg', '', file_get_contents(self::APP . $file));
			$this->assertDoesNotMatchRegularExpression('#<script|\bon[a-z]+="|style="|https?://|@import|url\(#i', $text, $file);
		}
	}

	public function testThePageEscapesWhateverItPrints(): void {
		$template = file_get_contents(self::APP . '/templates/admin.php');
		$this->assertDoesNotMatchRegularExpression('/<\?=|\becho\b|print_unescaped/', $template);
	}
}
