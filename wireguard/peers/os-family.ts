import type { Platform } from '../store/schema.ts';

/** From the first that fits: a Proxmox node is a Debian, too, and a Darwin has "win" in it. */
const FAMILIES: readonly (readonly [RegExp, Platform])[] = [
  [/proxmox|\bpve\b/, 'proxmox'],
  [/windows|\bwin(32|64|nt)\b/, 'windows'],
  [/macos|mac os|darwin/, 'macos'],
  [/linux|debian|ubuntu|raspbian|raspberry pi os|fedora|red hat|\brhel\b|centos|rocky|\boracle\b|\bamazon\b/, 'linux'],
  [/suse|\barch\b|manjaro|endeavour|alpine|gentoo|nixos|slackware|openwrt|\bkali\b|pop!_os|devuan/, 'linux'],
];

/** Pure: which family an operating system is of by what it calls itself; `null` for what is of none, or cannot be told. */
export function osFamily(text: string | null): Platform | null {
  if (text === null) return null;
  const lower = text.toLowerCase();
  return FAMILIES.find(([words]) => words.test(lower))?.[1] ?? null;
}
