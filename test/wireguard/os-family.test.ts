import { expect, test } from 'vitest';
import { osFamily } from '../../wireguard/peers/os-family.ts';

test.each([
  [null, null],
  ['', null],
  ['FreeBSD 14.3-RELEASE', null],
  ['android', null],
  ['Searchlight OS', null],
  ['Winnipeg 1.0', null],
  ['linux', 'linux'],
  ['Debian GNU/Linux 13 (trixie)', 'linux'],
  ['Ubuntu 24.04.3 LTS', 'linux'],
  ['Red Hat Enterprise Linux 9.6 (Plow)', 'linux'],
  ['CentOS Stream 10 (Coughlan)', 'linux'],
  ['openSUSE Tumbleweed', 'linux'],
  ['Arch', 'linux'],
  ['Alpine Linux v3.22', 'linux'],
  ['Darwin 24.6.0', 'macos'],
  ['macOS 15.6', 'macos'],
  ['Mac OS X 10.15.7', 'macos'],
  ['Microsoft Windows 11 Pro', 'windows'],
  ['Microsoft Windows NT 10.0.26100.0', 'windows'],
  ['win32', 'windows'],
  ['Proxmox VE 9.1.6 (Debian GNU/Linux 13)', 'proxmox'],
  ['pve-manager/9.1.6/71482d1833ded40a', 'proxmox'],
])('osFamily(%j) is %j', (text, family) => {
  expect(osFamily(text)).toBe(family);
});
