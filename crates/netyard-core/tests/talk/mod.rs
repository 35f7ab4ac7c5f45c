//! The network of the talk, as the design gives it.

/// The lab file.
pub const TALK: &str = "\
lab: home
networks:
  lan: 10.0.0.0/24
  isp: 10.138.0.0/24
nodes:
  pc:       { links: { lan: 10.0.0.1 } }
  printer:  { links: { lan: 10.0.0.2 } }
  router:                                   # the talk's VM
    links: { lan: 10.0.0.254, isp: 10.138.0.3 }
    masquerade: { from: lan, out: isp }     # NAPT; implies forwarding
  internet: { role: internet, links: { isp: 10.138.0.1 } }
expect:
  - { from: pc, ping: printer }
  - { from: pc, ping: 1.1.1.1, seen-as: 10.138.0.3 }
  - { from: internet, ping: pc, outcome: unreachable }
";
