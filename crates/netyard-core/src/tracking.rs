//! The connections that routers track, kept up to date event by event: what `netyard watch nat` tells.

mod owners;

use crate::conntrack;
use crate::look::Look;
use crate::show::Connection;
use crate::state::Ns;
use owners::Owners;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is known of all connections.
#[derive(Debug, Default)]
pub struct Tracking {
    routers: BTreeMap<u64, Router>,
    owners: Owners,
}

/// A namespace and what it tracks.
#[derive(Debug)]
struct Router {
    name: Ns,
    /// Whether it is shown: it has rules that translate, or has translated.
    translates: bool,
    table: Table,
    entries: BTreeMap<u32, Entry>,
}

/// What is known of a whole table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    /// It was not read yet.
    Unread,
    /// Events tell what changes.
    Trusted,
    /// Events were lost.
    Doubtful,
}

#[derive(Debug)]
struct Entry {
    connection: conntrack::Connection,
    /// The kernel tells nothing of connections that began before anybody listened.
    is_silent: bool,
}

/// Something that has happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What.
    pub event: Happened,
    /// The namespace that tracks it.
    pub node: Ns,
    /// That namespace's inode.
    pub inode: u64,
    /// The kernel's number for the connection (`ct id`).
    pub id: u32,
    /// The connection as it is now, or was last.
    pub connection: Connection,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happened {
    /// It was there already.
    Present,
    /// Its first packet has passed.
    New,
    /// An answer was seen, or its handshake has gone on.
    Changed,
    /// It is forgotten.
    Gone,
}

impl Happened {
    /// The sign before a line: `=`, `+`, `~`, `-`.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Present => '=',
            Self::New => '+',
            Self::Changed => '~',
            Self::Gone => '-',
        }
    }
}

impl Tracking {
    /// Takes in names, addresses, and who translates. Namespaces that are no more are forgotten with their connections;
    /// what is to be told of those that translate since is told.
    pub fn meet(&mut self, look: &Look) -> Vec<Change> {
        self.owners = Owners::of(look);
        let read = look.namespaces.iter().filter(|seen| seen.unread.is_none());
        let present: BTreeSet<u64> = read.clone().map(|seen| seen.inode).collect();
        self.routers.retain(|inode, _| present.contains(inode));
        let mut changes = Vec::new();
        for seen in read {
            let router = self.routers.entry(seen.inode).or_insert_with(|| Router {
                name: seen.name.clone(),
                translates: false,
                table: Table::Unread,
                entries: BTreeMap::new(),
            });
            router.name = seen.name.clone();
            if !seen.nat.is_empty() && !router.translates {
                router.translates = true;
                let ids: Vec<u32> = router.entries.keys().copied().collect();
                changes.extend(ids.into_iter().filter_map(|id| self.told(seen.inode, id, Happened::Present)));
            }
        }
        changes
    }

    /// The inodes of all namespaces that are known.
    #[must_use]
    pub fn inodes(&self) -> Vec<u64> {
        self.routers.keys().copied().collect()
    }

    /// Whether a namespace's table has to be read: for the first time, because events were lost, or because it has
    /// connections of which the kernel tells nothing.
    #[must_use]
    pub fn wants_table(&self, inode: u64) -> bool {
        let is_doubtful = |router: &Router| {
            router.table != Table::Trusted || router.entries.values().any(|entry| entry.is_silent)
        };
        self.routers.get(&inode).is_some_and(is_doubtful)
    }

    /// Events of a namespace were lost.
    pub fn mistrust(&mut self, inode: u64) {
        if let Some(router) = self.routers.get_mut(&inode)
            && router.table == Table::Trusted
        {
            router.table = Table::Doubtful;
        }
    }

    /// Takes in a whole table: what is not in it is gone. Where events have told all there was to tell, it is only about
    /// connections of which they do not: of others it may be older than what is known.
    pub fn list(&mut self, inode: u64, table: Vec<conntrack::Connection>) -> Vec<Change> {
        let Some(router) = self.routers.get_mut(&inode) else { return Vec::new() };
        let before = std::mem::replace(&mut router.table, Table::Trusted);
        let is_about =
            |entries: &BTreeMap<u32, Entry>, id: u32| match (before, entries.get(&id).map(|e| e.is_silent)) {
                (Table::Trusted, is_silent) => is_silent == Some(true),
                _ => true,
            };
        let listed: BTreeSet<u32> = table.iter().map(|connection| connection.id).collect();
        let known = router.entries.keys().copied();
        let gone = known.filter(|id| !listed.contains(id) && is_about(&router.entries, *id));
        let gone: Vec<u32> = gone.collect();
        let table: Vec<_> = table.into_iter().filter(|c| is_about(&router.entries, c.id)).collect();
        let if_unknown = if before == Table::Unread { Happened::Present } else { Happened::New };
        let mut changes: Vec<Change> = gone.into_iter().filter_map(|id| self.ended(inode, id)).collect();
        changes.extend(table.into_iter().filter_map(|found| self.take(inode, found, if_unknown, true)));
        changes
    }

    /// Takes in that a connection has begun.
    pub fn begun(&mut self, inode: u64, connection: conntrack::Connection) -> Option<Change> {
        let router = self.routers.get_mut(&inode)?;
        if let Some(known) = router.entries.get_mut(&connection.id)
            && known.connection.original == connection.original
        {
            // It was in the table already, as it was a little later.
            known.is_silent = false;
            return None;
        }
        self.take(inode, connection, Happened::New, false)
    }

    /// Takes in that a connection has changed.
    pub fn changed(&mut self, inode: u64, connection: conntrack::Connection) -> Option<Change> {
        self.take(inode, connection, Happened::New, false)
    }

    /// Takes in that a connection has ended.
    pub fn ended(&mut self, inode: u64, id: u32) -> Option<Change> {
        let change = self.told(inode, id, Happened::Gone);
        self.routers.get_mut(&inode)?.entries.remove(&id)?;
        change
    }

    /// All that is shown, by name of the namespace.
    #[must_use]
    pub fn view(&self) -> Vec<(Ns, Vec<(u32, Connection)>)> {
        let shown = self.routers.values().filter(|router| router.translates);
        let with_names = shown.map(|router| {
            let all = router.entries.iter();
            (router.name.clone(), all.map(|(id, entry)| (*id, self.named(&entry.connection))).collect())
        });
        let mut all: Vec<_> = with_names.collect();
        all.sort_by(|(one, _): &(Ns, Vec<_>), (other, _)| one.cmp(other));
        all
    }

    fn take(
        &mut self,
        inode: u64,
        mut connection: conntrack::Connection,
        if_unknown: Happened,
        is_listed: bool,
    ) -> Option<Change> {
        let router = self.routers.get_mut(&inode)?;
        let id = connection.id;
        if connection.status.has_snat() || connection.status.has_dnat() {
            router.translates = true;
        }
        let before = router.entries.get(&id);
        if connection.tcp_state.is_none() {
            connection.tcp_state = before.and_then(|before| before.connection.tcp_state);
        }
        // A number may be given again: the kernel makes it from the place in memory.
        let is_same = before.is_some_and(|before| before.connection.original == connection.original);
        let has_changed = before.is_none_or(|before| {
            let (old, new) = (&before.connection, &connection);
            (old.tcp_state, old.status.has_seen_reply(), old.reply)
                != (new.tcp_state, new.status.has_seen_reply(), new.reply)
        });
        let is_silent = is_listed && before.is_none_or(|before| before.is_silent);
        router.entries.insert(id, Entry { connection, is_silent });
        match (is_same, has_changed) {
            (true, false) => None,
            (true, true) => self.told(inode, id, Happened::Changed),
            (false, _) => self.told(inode, id, if_unknown),
        }
    }

    /// What is to be told of a connection; nothing where the namespace does not translate.
    fn told(&self, inode: u64, id: u32, event: Happened) -> Option<Change> {
        let router = self.routers.get(&inode).filter(|router| router.translates)?;
        let connection = self.named(&router.entries.get(&id)?.connection);
        Some(Change { event, node: router.name.clone(), inode, id, connection })
    }

    fn named(&self, connection: &conntrack::Connection) -> Connection {
        Connection::of(connection, |address| self.owners.of_address(address))
    }
}

/// `+ router  tcp  pc 10.0.0.1:4242 → 1.1.1.1:80  answer 1.1.1.1:80 → router 10.138.0.3:4242  snat  syn-sent`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Connection { protocol, original, reply, state, .. } = &self.connection;
        write!(f, "{} {}  {protocol}  {original}  answer {reply}", self.event.sign(), self.node)?;
        let rewrites = self.connection.rewrites();
        if !rewrites.is_empty() {
            write!(f, "  {rewrites}")?;
        }
        match state {
            Some(state) => write!(f, "  {state}"),
            None if !self.connection.answered => f.write_str("  unanswered"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::{Detail, Status, TcpState, Tuple};
    use crate::look::{Interface, Seen};
    use crate::show::{LinkState, RuleView};

    const ROUTER: u64 = 7;
    const SNAT: u32 = 1 << 4;
    const REPLIED: u32 = 1 << 1;

    fn seen(name: &str, inode: u64, addresses: &[&str], translates: bool) -> Seen {
        let mut seen = Seen::new(name.parse().unwrap(), inode);
        let rule = RuleView { chain: String::new(), rule: "masquerade".into(), meaning: None };
        seen.nat = if translates { vec![rule] } else { Vec::new() };
        seen.interfaces = vec![Interface {
            name: "eth0".into(),
            index: 2,
            kind: "veth".into(),
            mac: None,
            mtu: 1500,
            state: LinkState::Up,
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            master: None,
            port_state: None,
            peer: None,
            parent: None,
            settings: BTreeMap::new(),
            bridge: None,
        }];
        seen
    }

    fn look(translates: bool) -> Look {
        let namespaces = vec![
            seen("pc", 6, &["10.0.0.1/24"], false),
            seen("router", ROUTER, &["10.0.0.254/24", "10.138.0.3/24"], translates),
        ];
        Look { namespaces, ..Look::default() }
    }

    fn connection(id: u32, status: u32, tcp_state: Option<TcpState>) -> conntrack::Connection {
        let tuple = |source: &str, destination: &str, ports: (u16, u16)| Tuple {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            detail: Detail::Ports { source: ports.0, destination: ports.1 },
        };
        conntrack::Connection {
            id,
            protocol: 6,
            original: tuple("10.0.0.1", "1.1.1.1", (4242, 80)),
            reply: tuple("1.1.1.1", "10.138.0.3", (80, 4242)),
            status: Status(status),
            timeout_s: Some(120),
            tcp_state,
            mark: 0,
            zone: 0,
        }
    }

    #[test]
    fn a_connection_is_new_changes_and_goes() {
        let mut tracking = Tracking::default();
        assert_eq!(tracking.meet(&look(true)), []);
        let new = tracking.begun(ROUTER, connection(1, SNAT, Some(TcpState::SynSent))).unwrap();
        assert_eq!(
            new.to_string(),
            "+ router  tcp  pc 10.0.0.1:4242 → 1.1.1.1:80  answer 1.1.1.1:80 → router 10.138.0.3:4242  snat  \
             syn-sent"
        );
        let again = connection(1, SNAT | REPLIED, Some(TcpState::SynReceived));
        assert_eq!(tracking.changed(ROUTER, again.clone()).unwrap().event, Happened::Changed);
        assert_eq!(tracking.changed(ROUTER, again), None, "nothing that is shown has changed");
        // An event without the state of the handshake does not take it away.
        assert_eq!(tracking.changed(ROUTER, connection(1, SNAT | REPLIED, None)), None);
        let gone = tracking.ended(ROUTER, 1).unwrap();
        assert_eq!((gone.event, gone.connection.state.as_deref()), (Happened::Gone, Some("syn-received")));
        assert_eq!(tracking.ended(ROUTER, 1), None);
        assert_eq!(tracking.view(), [(Ns::Node("router".parse().unwrap()), Vec::new())]);
    }

    #[test]
    fn who_does_not_translate_is_silent_until_a_rule_or_a_rewrite() {
        let mut tracking = Tracking::default();
        tracking.meet(&look(false));
        assert_eq!(tracking.begun(ROUTER, connection(1, 0, None)), None);
        assert_eq!(tracking.view(), []);
        let told = tracking.meet(&look(true));
        assert_eq!(told.iter().map(|change| change.event).collect::<Vec<_>>(), [Happened::Present]);
        let mut tracking = Tracking::default();
        tracking.meet(&look(false));
        assert_eq!(tracking.begun(ROUTER, connection(1, SNAT, None)).unwrap().event, Happened::New);
    }

    fn signs(changes: &[Change]) -> String {
        changes.iter().map(|change| change.event.sign()).collect()
    }

    #[test]
    fn a_table_tells_what_no_event_told() {
        let mut tracking = Tracking::default();
        tracking.meet(&look(true));
        assert!(tracking.wants_table(ROUTER), "it was not read yet");
        let told = tracking.list(ROUTER, vec![connection(1, SNAT, None), connection(2, SNAT, None)]);
        assert_eq!(signs(&told), "==");
        assert_eq!(
            tracking.begun(ROUTER, connection(2, 0, None)),
            None,
            "the table was later than this event"
        );
        assert_eq!(tracking.begun(ROUTER, connection(3, SNAT, None)).unwrap().event, Happened::New);
        assert!(tracking.wants_table(ROUTER), "of 1 nobody tells");
        // The table is older than what is known of 3, and 4 will be told of.
        let told = tracking.list(ROUTER, vec![connection(4, SNAT, None)]);
        assert_eq!((signs(&told).as_str(), told[0].id), ("-", 1));
        assert!(!tracking.wants_table(ROUTER), "of those that are left the kernel tells");
        // The number of one that is gone may be another's.
        let mut other = connection(3, SNAT, None);
        other.original.source = "10.0.0.9".parse().unwrap();
        assert_eq!(tracking.begun(ROUTER, other).unwrap().event, Happened::New);
    }

    #[test]
    fn lost_events_are_made_good_by_the_table() {
        let mut tracking = Tracking::default();
        tracking.meet(&look(true));
        tracking.list(ROUTER, Vec::new());
        let _ = tracking.begun(ROUTER, connection(1, SNAT, None));
        assert!(!tracking.wants_table(ROUTER));
        tracking.mistrust(ROUTER);
        assert!(tracking.wants_table(ROUTER));
        assert_eq!(signs(&tracking.list(ROUTER, vec![connection(2, SNAT, None)])), "-+");
    }

    #[test]
    fn a_namespace_that_is_gone_takes_its_connections_along() {
        let mut tracking = Tracking::default();
        tracking.meet(&look(true));
        let _ = tracking.begun(ROUTER, connection(1, SNAT, None));
        tracking.meet(&Look::default());
        assert!(tracking.view().is_empty() && tracking.inodes().is_empty());
    }
}
