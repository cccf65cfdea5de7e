// What Proxmox VE's commands and files print, byte for byte as they were seen: blanks at the ends of lines are theirs.

/** `pvecm status`: three nodes. */
export const statusOfThree = `Cluster information
-------------------
Name:             cluster-prox
Config Version:   3
Transport:        knet
Secure auth:      on

Quorum information
------------------
Date:             Sat Jul 16 09:16:29 2022
Quorum provider:  corosync_votequorum
Nodes:            3
Node ID:          0x00000001
Ring ID:          1.47
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   3
Highest expected: 3
Total votes:      3
Quorum:           2  
Flags:            Quorate 

Membership information
----------------------
    Nodeid      Votes Name
0x00000001          1 172.168.1.101 (local)
0x00000002          1 172.168.1.102
0x00000003          1 172.168.1.103
`;

/** Two nodes. */
export const statusOfTwo = `Cluster information
-------------------
Name:             calotech
Config Version:   2
Transport:        knet
Secure auth:      on

Quorum information
------------------
Date:             Thu Feb 26 14:45:28 2026
Quorum provider:  corosync_votequorum
Nodes:            2
Node ID:          0x00000001
Ring ID:          1.13
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   2
Highest expected: 2
Total votes:      2
Quorum:           2  
Flags:            Quorate 

Membership information
----------------------
    Nodeid      Votes Name
0x00000001          1 192.168.10.201 (local)
0x00000002          1 192.168.10.202
`;

/** Two nodes and a QDevice, which has a row of its own among them. */
export const statusWithQDevice = `Cluster information
-------------------
Name:             caogo-cluster
Config Version:   3
Transport:        knet
Secure auth:      on

Quorum information
------------------
Date:             Sun Aug 16 17:09:58 2026
Quorum provider:  corosync_votequorum
Nodes:            2
Node ID:          0x00000002
Ring ID:          1.16
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   3
Highest expected: 3
Total votes:      3
Quorum:           2  
Flags:            Quorate Qdevice 

Membership information
----------------------
    Nodeid      Votes    Qdevice Name
0x00000001          1    A,V,NMW 192.168.31.130
0x00000002          1    A,V,NMW 192.168.31.132 (local)
0x00000000          1            Qdevice
`;

/** One of two, of a release of 2017. */
export const statusWithoutQuorum = `Quorum information
------------------
Date:             Sun Mar 26 09:26:44 2017
Quorum provider:  corosync_votequorum
Nodes:            1
Node ID:          0x00000002
Ring ID:          2/196
Quorate:          No

Votequorum information
----------------------
Expected votes:   2
Highest expected: 2
Total votes:      1
Quorum:           2 Activity blocked
Flags:

Membership information
----------------------
    Nodeid      Votes Name
0x00000002          1 10.10.10.102 (local)
`;

/** As the manual shows it, its headings underlined with other characters. */
export const statusOfTheManual = `Cluster information
~~~~~~~~~~~~~~~~~~~
Name:             prod-central
Config Version:   3
Transport:        knet
Secure auth:      on

Quorum information
~~~~~~~~~~~~~~~~~~
Date:             Tue Sep 14 11:06:47 2021
Quorum provider:  corosync_votequorum
Nodes:            4
Node ID:          0x00000001
Ring ID:          1.1a8
Quorate:          Yes

Votequorum information
~~~~~~~~~~~~~~~~~~~~~~
Expected votes:   4
Highest expected: 4
Total votes:      4
Quorum:           3
Flags:            Quorate

Membership information
~~~~~~~~~~~~~~~~~~~~~~
    Nodeid      Votes Name
0x00000001          1 192.168.15.91
0x00000002          1 192.168.15.92 (local)
0x00000003          1 192.168.15.93
0x00000004          1 192.168.15.94
`;

/** `pvecm nodes`. */
export const nodesOfTheManual = `
Membership information
~~~~~~~~~~~~~~~~~~~~~~
    Nodeid      Votes Name
         1          1 hp1
         2          1 hp2 (local)
         3          1 hp3
         4          1 hp4
`;

/** `pvecm status` where there is no cluster. */
export const statusStandalone =
  "Error: Corosync config '/etc/pve/corosync.conf' does not exist - is this node part of a cluster?\n";

/** In a guest. */
export const statusInGuest = `ipcc_send_rec[1] failed: Unknown error -1
ipcc_send_rec[2] failed: Unknown error -1
ipcc_send_rec[3] failed: Unknown error -1
Unable to load access control list: Unknown error -1
`;

/** `corosync.conf`: three nodes. */
export const corosyncOfThree = `logging {
  debug: off
  to_syslog: yes
}

nodelist {
  node {
    name: pve12t
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 192.168.1.227
  }
  node {
    name: pve13m
    nodeid: 2
    quorum_votes: 1
    ring0_addr: 192.168.1.163
  }
  node {
    name: pve13t
    nodeid: 3
    quorum_votes: 1
    ring0_addr: 192.168.1.240
  }
}

quorum {
  provider: corosync_votequorum
}

totem {
  cluster_name: homelab
  config_version: 3
  interface {
    linknumber: 0
  }
  ip_version: ipv4-6
  link_mode: passive
  secauth: on
  token_coefficient: 125
  version: 2
}
`;

/** The nodes of a `corosync.conf`, in another order than their ids. */
export const nodelistOfTheManual = `nodelist {

  node {
    name: due
    nodeid: 2
    quorum_votes: 1
    ring0_addr: due
  }

  node {
    name: tre
    nodeid: 3
    quorum_votes: 1
    ring0_addr: tre
  }

  node {
    name: uno
    nodeid: 1
    quorum_votes: 1
    ring0_addr: uno
  }

}
`;

/** `.members`: three nodes, one of which was never seen. */
export const membersOfThree = `{
"nodename": "pve1",
"version": 5,
"cluster": { "name": "homelab", "version": 3, "nodes": 3, "quorate": 1 },
"nodelist": {
  "pve1": { "id": 1, "online": 1, "ip": "192.168.1.227"},
  "pve2": { "id": 2, "online": 1, "ip": "192.168.1.163"},
  "pve3": { "id": 3, "online": 0}
  }
}
`;

/** No cluster. */
export const membersStandalone = `{
"nodename": "pve1",
"version": 0
}
`;

/** `pveversion`. */
export const versions = [
  ['9.1.6', 'pve-manager/9.1.6/71482d1833ded40a (running kernel: 6.17.13-2-pve)'],
  ['9.1.9', 'pve-manager/9.1.9/ee7bad0a3d1546c9 (running kernel: 7.0.0-3-pve)'],
  ['8.4.19', 'pve-manager/8.4.19/a68fb383814bb1e6 (running kernel: 6.8.12-20-pve)'],
  ['8.3.2', 'pve-manager/8.3.2/3e76eec21c4a14a7 (running kernel: 6.8.12-5-pve)'],
  ['8.0.3', 'pve-manager/8.0.3/bbf3993334bfa916 (running kernel: 6.2.16-3-pve)'],
] as const;

/** The first line of `pveversion -v`. */
export const verboseVersion = 'proxmox-ve: 9.1.0 (running kernel: 6.17.13-4-pve)';
