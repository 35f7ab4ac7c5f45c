//! Lab files with every form that the language has.

/// Links in every form.
pub const LINKS_IN_EVERY_FORM: &str = "\
networks: { lan: [10.0.0.0/24, fd00::/64], wan: 192.0.2.0/30, raw: ~ }
nodes:
  a: { links: lan }
  b: { links: [lan, wan] }
  c: { links: { lan: 10.0.0.9, raw: ~ } }
  d: { links: { lan: [10.0.0.7, fd00::7], raw: 172.16.0.1/16 } }
  e: { links: { lan: { addresses: [10.0.0.8, auto], name: veth1-pc, port: veth1-br, mac: 02:00:00:00:00:aa, mtu: 1400 } } }
  f: { links: [{ network: lan, name: up0 }, { network: lan, name: up1, address: none }, { wan: 192.0.2.2 }] }
  g: { links: { lan: auto } }
";

/// Port names are unique in the fabric and fit.
pub const PORT_NAMES_ARE_UNIQUE_IN_THE_FABRIC_AND_FIT: &str = "\
networks: { pc: 10.0.0.0/24, a-network-with-a-long-name: 10.1.0.0/24, wire: { kind: cable } }
nodes:
  pc: { links: [pc] }
  lo: { links: [pc] }
  all-nodes-of-upstairs: { links: [pc] }
  all-nodes-of-upstairs-too: { links: [pc, a-network-with-a-long-name] }
  x: { links: [pc, wire] }
  y: { links: { wire: ~ } }
";

/// Networks in every form.
pub const NETWORKS_IN_EVERY_FORM: &str = "\
defaults: { mtu: 9000, delay: 1ms }
networks:
  a: { prefix: 10.0.0.0/24, stp: on, multicast-snooping: yes, mtu: 1500, rate: 10mbit, burst: 32kb, latency: 50ms }
  b: { prefixes: [10.1.0.0/24], kind: hub, delay: 10ms, jitter: 2ms, loss: 1%, duplicate: 0.5, reorder: 25%, corrupt: 0.1% }
  c: { kind: cable, stp: off }
  d: { stp: { forward-delay: 15, hello: 2s, max-age: 20, priority: 4096 } }
  e: { stp: standard }
nodes:
  x: { links: { a: ~, b: { loss: 2%, up: { loss: 3% } }, c: { up: { rate: 1mbit } }, d: ~, e: ~ } }
  y: { links: { c: { up: { rate: 2gbit }, mtu: 1400 } } }
";

/// On a cable what one end receives the other sends.
pub const ON_A_CABLE_WHAT_ONE_END_RECEIVES_THE_OTHER_SENDS: &str = "\
networks: { wire: { prefix: 10.0.0.0/30, kind: cable } }
nodes:
  a: { links: { wire: { up: { rate: 1mbit }, down: { delay: 5ms } } } }
  b: { links: [wire] }
";

/// Ranges groups and defaults merge.
pub const RANGES_GROUPS_AND_DEFAULTS_MERGE: &str = "\
networks: { lan: 10.0.0.0/16, dmz: 10.9.0.0/24 }
defaults: { env: { LANG: C, TZ: UTC }, labels: [all] }
groups:
  clients: { members: ['h[08-10]'], links: [lan], env: { LANG: ja_JP.UTF-8, ROLE: client } }
  servers: [web]
  everybody: { members: [clients, servers, late], labels: { floor: 2 } }
nodes:
  h[08-11]: ~
  web: { links: { dmz: 10.9.0.5 }, env: { LANG: en } }
  late: { group: clients, links: { dmz: 10.9.0.6 } }
expect:
  - { from: clients, ping: web }
  - { from: ['h[08-09]', web], tcp: 'web:80', outcome: no-route }
  - { from: everybody, ping: servers }
";

/// Routes in every form.
pub const ROUTES_IN_EVERY_FORM: &str = "\
networks: { a: 10.0.1.0/24, b: 10.0.2.0/24, far: [10.0.3.0/24, fd03::/64] }
nodes:
  x:
    links: { a: [10.0.1.1, fd01::1/64], b: 10.0.2.1 }
    routes:
      - 10.0.4.0/24: 10.0.1.254
      - { to: far, via: r }
      - { to: default, via: r2, metric: 50, src: 10.0.2.1 }
      - { to: 10.0.5.0/24, hops: [{ via: r, weight: 3 }, 10.0.2.254] }
      - { to: 10.0.6.0/24, kind: blackhole }
      - { 10.0.7.0/24: unreachable, 10.0.8.1: { via: 10.9.9.9, dev: a, onlink: true, table: 100 } }
      - { to: 10.9.8.8, dev: eth1 }
      - { to: 10.0.9.0/24, via: 10.9.8.8 }
      - { to: default, via: fd01::fe }
  r: { links: { a: [10.0.1.254, fd01::fe/64], far: ~ }, role: router }
  r2: { links: { b: 10.0.2.254 }, routes: { 10.0.1.0/24: x, default: 10.0.2.1 } }
";

/// Firewalls in every form.
pub const FIREWALLS_IN_EVERY_FORM: &str = "\
networks: { lan: 10.0.0.0/24, dmz: 10.1.0.0/24, isp: 10.2.0.0/24 }
nodes:
  fw:
    role: router
    links: [lan, dmz, isp]
    firewall:
      input: { allow: [ping, { from: lan, tcp: 22 }] }
      forward:
        policy: drop
        allow:
          - { from: lan }
          - { from: isp, to: dmz, tcp: [80, 443, 8000-8010] }
          - { from: 10.9.0.0/16, to: web, udp: any }
          - { in: isp, out: eth1, icmp: true }
  web: { links: { dmz: 10.1.0.80 }, firewall: drop }
  pc: { links: [lan, isp], firewall: { input: accept }, gateway: none }
";

/// A ring of bridges is one segment.
pub const A_RING_OF_BRIDGES_IS_ONE_SEGMENT: &str = "\
networks:
  c12: { kind: cable }
  c23: { kind: cable }
  c31: { kind: cable }
  p1: 10.0.0.0/24
  p3: 10.0.0.0/24
nodes:
  b1: { links: [c12, c31, p1], bridges: { br0: { ports: [c12, eth1, p1], stp: on, priority: 4096 } } }
  b2: { role: bridge, links: [c12, c23] }
  b3: { links: [c23, c31, p3], bridge: { stp: standard, address: 10.0.0.100 } }
  a: { links: [p1] }
  z: { links: [p3], gateway: b3 }
  r: { links: { p3: 10.0.0.254 }, forward: yes }
";

/// Programs neighbours and the rest.
pub const PROGRAMS_NEIGHBOURS_AND_THE_REST: &str = "\
description: everything else
profile: fast
arp: static
dad: on
networks: { lan: 10.0.0.0/24 }
nodes:
  a:
    links: [lan]
    hostname: a.example
    uplink: pasta
    labels: { floor: 1 }
    sysctls: { net.ipv4.tcp_ecn: 010, net/ipv4/conf/all/rp_filter: 2 }
    neighbours: { 10.0.0.2: 02:00:00:00:00:02, c: ~ }
    env: { V: 1.10, ON: off, EMPTY: ~ }
    run:
      - python3 -m http.server 80
      - [nc, -l, '7']
      - { name: web, command: nginx, restart: always, env: { A: b } }
      - nc -l 8
  b: { links: [lan], run: { dns: { command: [named, -g], restart: on-failure }, web: httpd } }
  c: { links: [lan], run: sleep 9, neighbours: [{ to: a, dev: lan }] }
";

/// Expectations in every form.
pub const EXPECTATIONS_IN_EVERY_FORM: &str = "\
networks: { lan: 10.0.0.0/24, isp: 10.138.0.0/24 }
groups: { lans: [pc, printer] }
nodes:
  pc: { links: [lan] }
  printer: { links: [lan] }
  router: { links: { lan: 10.0.0.254, isp: 10.138.0.3 }, masquerade: { from: lan, out: isp } }
  internet: { role: internet, links: { isp: 10.138.0.1 } }
expect:
  - { from: pc, ping: printer, count: 3, size: 1472, df: true, ttl: 4, answer-ttl: 64, hops: 0, rtt: 1ms..20ms, source: 10.0.0.1 }
  - { from: lans, ping: 1.1.1.1, seen-as: router, within: 5s }
  - { from: pc, tcp: 'printer:80', outcome: refused }
  - { from: pc, tcp: [printer, router], port: 22, outcome: timeout }
  - { from: pc, udp: '1.1.1.1:53', payload: hi, answer: ho }
  - { from: pc, http: 'http://1.1.1.1/ip', contains: x, status: 200 }
  - { from: pc, http: internet, path: ip }
  - { from: pc, dns: example.com, server: 10.138.0.1, type: AAAA }
  - { from: pc, dns: printer, address: printer }
  - { from: pc, route: 1.1.1.1, via: router, dev: lan }
  - { from: pc, neighbour: printer, state: reachable }
  - { from: pc, path: [router, internet] }
  - { from: pc, path: [router, internet], to: 10.138.0.1 }
  - { from: pc, throughput: printer, rate: 10mbit +-5% }
  - { from: all, ping: 'router:eth1' }
  - { from: pc, ping: www.example.com }
";

/// Prefixes may repeat behind translation.
pub const PREFIXES_MAY_REPEAT_BEHIND_TRANSLATION: &str = "\
networks: { lan1: 192.168.0.0/24, lan2: 192.168.0.0/24, isp: 10.0.0.0/24 }
nodes:
  a: { links: [lan1] }
  b: { links: [lan2] }
  n1: { links: { lan1: 192.168.0.254, isp: ~ }, masquerade: { from: lan1, out: isp } }
  n2: { links: { lan2: 192.168.0.254, isp: ~ }, masquerade: { from: lan2, out: isp } }
";

/// Aliases share parts.
pub const ALIASES_SHARE_PARTS: &str = "\
networks: { lan: 10.0.0.0/24 }
nodes:
  a: &server { links: [lan], run: &run [httpd] }
  b: { <<: *server, hostname: other }
  c: { links: [lan], run: *run }
";

/// Warnings come with the lab.
pub const WARNINGS_COME_WITH_THE_LAB: &str = "\
networks: { lan: 10.0.0.0/24, spare: ~ }
nodes:
  a: { links: { lan: 10.9.9.9/24 } }
  b: { links: { lan: { mtu: 9000 } }, gateway: 10.0.0.77, firewall: { input: { policy: accept, allow: [ping] } } }
";

/// Translations in every form.
pub const TRANSLATIONS_IN_EVERY_FORM: &str = "\
networks: { lan: [10.0.0.0/24, fd00::/64], isp: [10.138.0.0/24, fd01::/64] }
nodes:
  a: { links: [lan, isp], masquerade: true, forward: ipv4 }
  b: { links: [lan, isp], masquerade: isp, forward: ipv4 }
  c: { links: [lan, isp], masquerade: { from: fd00::/64, out: eth1 } }
  d:
    links: { lan: ~, isp: 10.138.0.200 }
    nat:
      - masquerade: { from: [lan, 10.5.0.0/16], out: isp }
      - snat: { from: web, out: isp, to: 10.138.0.200 }
      - port-forward: { port: 8080, in: isp, to: 'web:80', hairpin: true }
      - forward: { ports: [5000-5001, 53], protocol: both, to: 10.0.0.77 }
  web: { links: { lan: 10.0.0.80 }, gateway: none }
  internet: { role: internet, links: [isp] }
";

/// Links of nodes' own, tables, and what is down.
pub const OWN_LINKS_AND_TABLES_IN_EVERY_FORM: &str = "\
networks: { wire: { kind: cable }, loop: { kind: cable } }
nodes:
  a:
    links: [{ network: wire, name: eth0, address: 10.0.0.1/24 }, { network: loop, name: x, address: none }, { network: loop, name: y, address: none }]
    interfaces:
      lo: [10.9.9.9/32, 'fd09::9']
      mv: { kind: macvlan, parent: eth0, mode: private, address: 10.0.0.3/24, mac: '02:00:00:00:00:07' }
      v5: { kind: vlan, parent: eth0, id: 5, mtu: 1400 }
      vx: { kind: vxlan, id: 42, remote: 10.0.0.2, local: 10.0.0.1, port: 8472, learning: no }
      many: { kind: vxlan, id: 43, remote: 239.1.1.1, parent: eth0, addresses: [10.8.0.1/24, 10.8.1.1/24] }
      tap0: { kind: tap }
    bridges: { br0: { ports: [x, tap0, vx], learning: off, multicast-snooping: on } }
    down: [lo, y]
    routes: [{ to: 10.7.0.0/16, dev: many }, { to: 10.6.0.0/16, via: 10.8.0.9, dev: many }]
    tables:
      ip nat: { post: { type: nat, hook: postrouting, priority: 100, rules: [ip saddr 10.8.0.0/16 oifname eth0 masquerade] } }
      inet f:
        in: { hook: input, policy: drop, rules: [ct state established accept, jump own] }
        own: tcp dport 80-90 counter accept
      ip6 empty: ~
  b:
    links: [wire]
    interfaces: { far: { kind: macvlan, parent: 'a:eth0' }, lo: { address: 10.9.9.8/32 } }
    down: far
";

/// Full nodes in every form, and programs in their order.
pub const FULL_NODES_IN_EVERY_FORM: &str = "\
networks: { lan: 10.0.0.0/24 }
groups:
  servers: { members: [dns, web], files: { /etc/motd: of the group, /etc/issue: of the group } }
nodes:
  plain: { links: [lan], kind: full }
  dns:
    links: [lan]
    files:
      /etc/motd: of the node
      /etc/bind/named.conf: { text: 'options {};', mode: 0640, owner: root:bind }
      /etc/bind/zones/: { from: ./zones/ }
    layers: [kathara/base, bind]
    run:
      named: { command: [named, -g], ready: { port: 53, within: 5s } }
      check: { command: rndc status, ready: ended, after: named }
      watch: { command: tail -f /var/log/x, ready: { log: started }, after: [named, check] }
      probe: { command: sleep 9, ready: { command: [test, -e, /run/x] }, restart: on-failure }
      one: { command: sleep 9, ready: { ended: true, within: 200ms } }
    stop: [rndc stop, { name: last, command: [sync], env: { A: b } }]
  web:
    links: [lan]
    files: [trees/web, { /srv/x: '' }]
    binds: ['./data:/srv/data:ro', /opt:/opt, { source: data, path: /srv/more, read-only: no }]
    stop: apachectl stop
    run: { server: apache2 -f }
  old: { links: [lan], rootfs: images/old.tar.gz, binds: /tmp/x:/mnt, stop: { bye: { command: halt } } }
  other: { links: [lan], rootfs: /srv/roots/debian, files: tree }
  c[1-2]: { kind: full, links: [lan], run: { job: { command: x, ready: ended } } }
  later: { kind: full, links: [lan], run: { last: { command: x, after: [web/server, dns/named, 'c[1-2]/job'] } } }
";

/// FRR in every form.
pub const FRR_IN_EVERY_FORM: &str = "\
networks: { lan: 10.0.0.0/24 }
nodes:
  both: { links: [lan], frr: { daemons: [ospfd, bgpd], config: \"router ospf\\nrouter bgp 65001\\n\" } }
  each: { links: [lan], frr: { ospfd: { from: ospfd.conf }, zebra: 'hostname x', ripd: }, run: { last: { command: x, after: ospfd } } }
  named: { links: [lan], frr: [isisd], files: { /etc/frr/isisd.conf: 'router isis x' } }
  one: { links: [lan], frr: ripd }
expect:
  - { from: all, ospf-neighbour: each, within: 5s }
  - { from: all, ospf-neighbour: 10.0.0.2, state: 2-way }
  - { from: all, bgp-session: each, as: 65002 }
  - { from: all, bgp-session: [each, one], outcome: unreachable }
  - { from: all, route: one, protocol: ospf, via: each }
";

/// All of them.
#[allow(dead_code)]
pub const ALL: &[&str] = &[
    LINKS_IN_EVERY_FORM,
    PORT_NAMES_ARE_UNIQUE_IN_THE_FABRIC_AND_FIT,
    NETWORKS_IN_EVERY_FORM,
    ON_A_CABLE_WHAT_ONE_END_RECEIVES_THE_OTHER_SENDS,
    RANGES_GROUPS_AND_DEFAULTS_MERGE,
    ROUTES_IN_EVERY_FORM,
    FIREWALLS_IN_EVERY_FORM,
    A_RING_OF_BRIDGES_IS_ONE_SEGMENT,
    PROGRAMS_NEIGHBOURS_AND_THE_REST,
    EXPECTATIONS_IN_EVERY_FORM,
    PREFIXES_MAY_REPEAT_BEHIND_TRANSLATION,
    ALIASES_SHARE_PARTS,
    WARNINGS_COME_WITH_THE_LAB,
    TRANSLATIONS_IN_EVERY_FORM,
    OWN_LINKS_AND_TABLES_IN_EVERY_FORM,
    FULL_NODES_IN_EVERY_FORM,
    FRR_IN_EVERY_FORM,
];
