<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Command;

use OCA\RemoteKeyStorage\Escrow\Failure;
use OCA\RemoteKeyStorage\Wire\UrlList;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;

/** `occ remotekey:enroll < {url|urls, code, ca, replace?}`. */
final class Enroll extends RemoteKeyCommand {
	protected function configure(): void {
		$this->setName('remotekey:enroll')
			->setDescription('enrol this server at a key server; reads {"url", "code", "ca"} from standard input')
			->addOption('dir', null, InputOption::VALUE_REQUIRED, 'folder for the credentials: exists, mode 0700, owned by this user');
	}

	protected function work(InputInterface $input): array {
		$given = $this->stdin(['url', 'urls', 'code', 'ca', 'replace']);
		$code = Stdin::text($given, 'code');
		$ca = Stdin::text($given, 'ca');
		if ($code === null || preg_match('/\A[A-Za-z0-9_-]{43}\z/', $code) !== 1) {
			throw new Failure(
				'invalid_request',
				'"code" must be the 43 characters of an enrolment code',
				'send {"url": …, "code": …, "ca": …} to standard input, as `keyserver client add --json` prints them',
			);
		}
		if ($ca === null || openssl_x509_parse($ca) === false) {
			throw new Failure('invalid_request', '"ca" must be the PEM certificate of the key server\'s authority');
		}
		$dir = $input->getOption('dir');
		return $this->workshop->enrolment()->enroll(
			$this->workshop->stateFolder(is_string($dir) ? $dir : null),
			$this->urls($given),
			$code,
			$ca,
			Stdin::flag($given, 'replace'),
		);
	}

	protected function lines(array $result): array {
		return [
			'enrolled as ' . $result['clientId'],
			$result['keys'] === [] ? 'the private keys are still on this disk' : 'moved keys: ' . implode(', ', $result['keys']),
		];
	}

	/**
	 * @param array<string, mixed> $given
	 * @return list<string>
	 */
	private function urls(array $given): array {
		$urls = array_key_exists('urls', $given) ? $given['urls'] : [$given['url'] ?? null];
		$both = array_key_exists('url', $given) && array_key_exists('urls', $given);
		$list = $both ? null : UrlList::parse($urls);
		if ($list === null) {
			throw new Failure(
				'invalid_request',
				'"url" must be the address of the key server, like https://10.86.0.1:8443, or "urls" a list of different ones',
			);
		}
		return $list;
	}
}
