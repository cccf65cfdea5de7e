<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Command;

use OCA\RemoteKeyStorage\Escrow\Failure;
use OCA\RemoteKeyStorage\Wire\UrlList;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;

/** `occ remotekey:servers [--set=URL …]`: where this host asks for its keys. */
final class Servers extends RemoteKeyCommand {
	protected function configure(): void {
		$this->setName('remotekey:servers')
			->setDescription('list the addresses of the key server, the preferred one first, or replace all of them')
			->addOption('set', null, InputOption::VALUE_REQUIRED | InputOption::VALUE_IS_ARRAY, 'an address; may be given again')
			->addOption('unchecked', null, InputOption::VALUE_NONE, 'take addresses too where nobody answers now');
	}

	protected function work(InputInterface $input): array {
		$servers = $this->workshop->serverUrls();
		$given = $input->getOption('set');
		$unchecked = $input->getOption('unchecked') === true;
		if ($given === []) {
			if ($unchecked) {
				throw new Failure('invalid_request', '"--unchecked" needs "--set"');
			}
			return ['urls' => $servers->all(), 'changed' => false, 'unchecked' => []];
		}
		$urls = UrlList::parse($given);
		if ($urls === null) {
			throw new Failure(
				'invalid_request',
				'"--set" must be given up to ' . UrlList::MAX . ' times, with different addresses like https://10.86.0.1:8443',
			);
		}
		$before = $servers->all();
		$unproved = $servers->replace($urls, $unchecked);
		return ['urls' => $urls, 'changed' => $before !== $urls, 'unchecked' => $unproved];
	}

	protected function lines(array $result): array {
		return array_map(
			static fn (string $url): string => $url . (in_array($url, $result['unchecked'], true) ? '  (nobody answers there now)' : ''),
			$result['urls'],
		);
	}
}
