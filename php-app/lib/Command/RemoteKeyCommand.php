<?php

declare(strict_types=1);

// SPDX-License-Identifier: AGPL-3.0-or-later

namespace OCA\RemoteKeyStorage\Command;

use OCA\RemoteKeyStorage\Escrow\Failure;
use OCA\RemoteKeyStorage\Escrow\Workshop;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Input\InputOption;
use Symfony\Component\Console\Output\ConsoleOutputInterface;
use Symfony\Component\Console\Output\OutputInterface;

/**
 * What the commands have in common: a result as text for people or as one line of JSON for programs, refusals as
 * `{"error":{code,message,hint}}`, exit code 0 or 1.
 */
abstract class RemoteKeyCommand extends Command {
	protected Workshop $workshop;
	/** @var resource|null */
	private $stdin;

	/** @param resource|null $stdin for tests */
	public function __construct(Workshop $workshop, $stdin = null) {
		$this->workshop = $workshop;
		$this->stdin = $stdin;
		parent::__construct();
		$this->addOption('output', null, InputOption::VALUE_REQUIRED, 'plain or json', 'plain');
	}

	/**
	 * @return array<string, mixed> the result as programs get it
	 * @throws \Throwable any, told as a code
	 */
	abstract protected function work(InputInterface $input): array;

	/**
	 * @param array<string, mixed> $result
	 * @return list<string> the result as people get it
	 */
	abstract protected function lines(array $result): array;

	/** @param array<string, mixed> $result */
	protected function isGood(array $result): bool {
		return true;
	}

	/**
	 * @param list<string> $allowed
	 * @return array<string, mixed>
	 * @throws Failure
	 */
	protected function stdin(array $allowed): array {
		$stream = $this->stdin ?? fopen('php://stdin', 'r');
		if ($stream === false) {
			throw new Failure('invalid_request', 'standard input cannot be read');
		}
		return Stdin::object($stream, $allowed);
	}

	protected function execute(InputInterface $input, OutputInterface $output): int {
		$json = $input->getOption('output') === 'json' || $input->getOption('output') === 'json_pretty';
		try {
			if (!in_array($input->getOption('output'), ['plain', 'json', 'json_pretty'], true)) {
				throw new Failure('invalid_request', '"--output" must be plain or json');
			}
			$result = $this->work($input);
		} catch (\Throwable $error) {
			$failure = Failure::from($error);
			$this->refuse($output, $failure, $json);
			return 1;
		}
		if ($json) {
			$output->writeln($this->encode($result), OutputInterface::OUTPUT_RAW);
		} else {
			$output->writeln($this->lines($result), OutputInterface::OUTPUT_RAW);
		}
		return $this->isGood($result) ? 0 : 1;
	}

	private function refuse(OutputInterface $output, Failure $failure, bool $json): void {
		if ($json) {
			$error = ['code' => $failure->reason(), 'message' => $failure->getMessage(), 'hint' => $failure->hint()];
			$output->writeln($this->encode(['error' => $error]), OutputInterface::OUTPUT_RAW);
			return;
		}
		$stderr = $output instanceof ConsoleOutputInterface ? $output->getErrorOutput() : $output;
		$stderr->writeln('remotekey: error: ' . $failure->getMessage() . ' (' . $failure->reason() . ')', OutputInterface::OUTPUT_RAW);
		if ($failure->hint() !== '') {
			$stderr->writeln('remotekey: hint: ' . $failure->hint(), OutputInterface::OUTPUT_RAW);
		}
	}

	/** @param array<string, mixed> $value */
	private function encode(#[\SensitiveParameter] array $value): string {
		return (string)json_encode($value, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE);
	}

	/**
	 * @param list<array{code: string, message: string, hint: string}> $problems
	 * @return list<string>
	 */
	protected function problemLines(array $problems): array {
		$lines = [];
		foreach ($problems as $problem) {
			$lines[] = '  ' . (($problem['blocking'] ?? false) ? '! ' : '- ') . $problem['message'] . ' (' . $problem['code'] . ')';
			if ($problem['hint'] !== '') {
				$lines[] = '    ' . $problem['hint'];
			}
		}
		return $lines;
	}
}
