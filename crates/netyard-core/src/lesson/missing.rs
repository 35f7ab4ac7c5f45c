//! What is still missing while a check does not hold, in one sentence.

use super::check::{Check, Fact, LinkFact, ProbeFact, Translation};
use super::sight::Sight;
use super::{Language, Text};
use crate::expect::{Outcome, Probe};
use crate::nft::{Hook, Policy};

impl Check {
    /// Why it does not hold, as far as that can be told from what is seen.
    #[must_use]
    pub fn missing(&self, now: &Sight, language: Language) -> String {
        let text = match &self.say {
            Some(say) => say.clone(),
            None if self.is_negated => self.fact.unwanted(),
            None => self.fact.missing(now),
        };
        text.of(language).to_owned()
    }
}

impl Fact {
    fn missing(&self, now: &Sight) -> Text {
        if let Some(name) = self.namespaces().into_iter().find(|name| now.seen(name).is_none()) {
            return no_namespace(name);
        }
        match self {
            Self::Namespace(name) => no_namespace(name),
            Self::Link(fact) => fact.missing(now),
            Self::Address { address, namespace, link } => match link {
                Some(link) => Text::new(
                    format!("{link} in {namespace} does not have the address {address} yet"),
                    format!("{namespace} の {link} に、まだアドレス {address} がありません"),
                ),
                None => Text::new(
                    format!("no interface in {namespace} has the address {address} yet"),
                    format!("{namespace} のどのインターフェースにも、まだアドレス {address} がありません"),
                ),
            },
            Self::Route { namespace, to, via, .. } => {
                let to = if to.prefix_len() == 0 { "default".to_owned() } else { to.to_string() };
                let via = via.map(|via| format!(" via {via}")).unwrap_or_default();
                Text::new(
                    format!("{namespace} has no route `{to}{via}` yet"),
                    format!("{namespace} に、まだ経路 `{to}{via}` がありません"),
                )
            }
            Self::Sysctl { namespace, key, value } => {
                let is = now.seen(namespace).and_then(|seen| seen.sysctls.get(key));
                let is = is.map_or("?", String::as_str);
                Text::new(
                    format!("{key} in {namespace} is {is}; it must become {value}"),
                    format!("{namespace} の {key} は {is} です。{value} にしてください"),
                )
            }
            Self::Nat { namespace, translation } => translation.missing(namespace),
            Self::Policy { namespace, hook, policy } => Text::new(
                format!(
                    "packets at the {} hook of {namespace} must end in {}",
                    word(*hook),
                    outcome(*policy)
                ),
                format!(
                    "{namespace} の {} フックの既定の動作を {} にしてください",
                    word(*hook),
                    outcome(*policy)
                ),
            ),
            Self::Neighbour { namespace, address, mac_of: None } => Text::new(
                format!("{namespace} does not know the Ethernet address of {address} yet"),
                format!("{namespace} は、まだ {address} の MAC アドレスを知りません"),
            ),
            Self::Neighbour { namespace, address, mac_of: Some(place) } => Text::new(
                format!("{namespace} does not have the Ethernet address of {place} for {address}"),
                format!("{namespace} が覚えている {address} の MAC アドレスが、{place} のものではありません"),
            ),
            Self::Learned { link, port } => Text::new(
                format!("the bridge has not yet learned that {link} is behind {port}"),
                format!("ブリッジは、{link} が {port} の先にあることをまだ学習していません"),
            ),
            Self::Listening { namespace, is_tcp, port } => {
                let protocol = if *is_tcp { "TCP" } else { "UDP" };
                Text::new(
                    format!("nothing listens on {protocol} port {port} in {namespace} yet"),
                    format!("{namespace} の {protocol} ポート {port} で、まだ誰も待ち受けていません"),
                )
            }
            Self::Counter { namespace, name, .. } => match counted(name) {
                Some((en, ja)) => Text::new(
                    format!("{namespace} has not {en} since this step began"),
                    format!("このステップが始まってから、{namespace} はまだ{ja}"),
                ),
                None => Text::new(
                    format!("the counter {name} of {namespace} has not grown since this step began"),
                    format!("このステップが始まってから、{namespace} のカウンタ {name} が増えていません"),
                ),
            },
            Self::Flows { namespace, count, .. } => {
                let plural = if *count == 1 { "connection" } else { "connections" };
                Text::new(
                    format!("{namespace} does not track {count} such {plural} yet"),
                    format!("{namespace} が追跡している該当の通信が、まだ {count} 本ありません"),
                )
            }
            Self::Probe(probe) => probe.missing(),
        }
    }

    fn unwanted(&self) -> Text {
        match self {
            Self::Namespace(name) => Text::new(
                format!("the namespace {name} is still there"),
                format!("namespace {name} がまだ残っています"),
            ),
            Self::Link(fact) => Text::new(
                format!("{} is still as it should not be", fact.place),
                format!("{} がまだ、あってはならない状態です", fact.place),
            ),
            Self::Address { address, namespace, .. } => Text::new(
                format!("{address} is still in {namespace}"),
                format!("{namespace} にアドレス {address} がまだ残っています"),
            ),
            Self::Route { namespace, to, .. } => Text::new(
                format!("the route to {to} is still in {namespace}"),
                format!("{namespace} に {to} への経路がまだ残っています"),
            ),
            Self::Neighbour { namespace, address, .. } => Text::new(
                format!("{namespace} still has that entry for {address}"),
                format!("{namespace} に {address} のエントリがまだ残っています"),
            ),
            _ => {
                Text::new("something is still as it should not be", "あってはならない状態がまだ残っています")
            }
        }
    }

    fn namespaces(&self) -> Vec<&str> {
        match self {
            Self::Namespace(_) => Vec::new(),
            Self::Link(fact) => vec![&fact.place.namespace],
            Self::Address { namespace, .. }
            | Self::Route { namespace, .. }
            | Self::Sysctl { namespace, .. }
            | Self::Nat { namespace, .. }
            | Self::Policy { namespace, .. }
            | Self::Neighbour { namespace, .. }
            | Self::Listening { namespace, .. }
            | Self::Counter { namespace, .. }
            | Self::Flows { namespace, .. } => vec![namespace],
            Self::Learned { link, port } => vec![&link.namespace, &port.namespace],
            Self::Probe(probe) => vec![&probe.from],
        }
    }
}

fn no_namespace(name: &str) -> Text {
    Text::new(format!("there is no namespace {name} yet"), format!("namespace {name} がまだありません"))
}

fn word(hook: Hook) -> &'static str {
    match hook {
        Hook::Input => "input",
        Hook::Output => "output",
        _ => "forward",
    }
}

fn outcome(policy: Policy) -> &'static str {
    if policy == Policy::Accept { "accept" } else { "drop" }
}

/// What a counter counts, behind "has not" and "まだ".
fn counted(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "IcmpInEchoReps" => ("received the answer to a ping", "ping の応答を受け取っていません"),
        "IcmpOutEchos" => ("sent a ping", "ping を送っていません"),
        "IpOutNoRoutes" => {
            ("tried to send to where it has no route", "経路のない宛先への送信を試していません")
        }
        "IpForwDatagrams" => ("passed on a packet", "パケットを転送していません"),
        _ => return None,
    })
}

impl LinkFact {
    fn missing(&self, now: &Sight) -> Text {
        let (name, ns) = (&self.place.link, &self.place.namespace);
        let Some(link) = now.link(ns, name) else {
            // What the internet has is nobody's mistake.
            let others = now.namespaces.iter().filter(|(other, _)| *other != "internet");
            let elsewhere = others.into_iter().find(|(_, seen)| seen.link(name).is_some());
            return match elsewhere {
                Some((other, _)) => Text::new(
                    format!("{name} is in {other}, not in {ns}"),
                    format!("{name} は {ns} ではなく {other} にあります"),
                ),
                None => Text::new(
                    format!("there is no {name} in {ns} yet"),
                    format!("{ns} に {name} がまだありません"),
                ),
            };
        };
        if !self.has_master(link) {
            return match self.master.as_deref() {
                Some("") | None => Text::new(
                    format!("{name} must not be a port of a bridge"),
                    format!("{name} をブリッジから外してください"),
                ),
                Some(master) => Text::new(
                    format!("{name} is not plugged into {master} yet"),
                    format!("{name} がまだ {master} に接続されていません"),
                ),
            };
        }
        if let (false, Some(peer)) = (self.has_peer(link), &self.peer) {
            return Text::new(
                format!("the other end of {name} is not {peer}"),
                format!("{name} の反対側の端が {peer} ではありません"),
            );
        }
        match self.is_up {
            Some(true) if !link.is_up => {
                return Text::new(
                    format!("{name} in {ns} is still DOWN"),
                    format!("{ns} の {name} がまだ DOWN です"),
                );
            }
            Some(false) if link.is_up => {
                return Text::new(format!("{name} in {ns} is UP"), format!("{ns} の {name} が UP です"));
            }
            _ => {}
        }
        if let Some(mtu) = self.mtu.filter(|mtu| *mtu != link.mtu) {
            return Text::new(
                format!("the MTU of {name} is {}; it must be {mtu}", link.mtu),
                format!("{name} の MTU は {} です。{mtu} にしてください", link.mtu),
            );
        }
        if let Some(kind) = self.kind.as_ref().filter(|kind| **kind != link.kind) {
            return Text::new(
                format!("{name} is not of the kind {kind}"),
                format!("{name} の種類が {kind} ではありません"),
            );
        }
        Text::new(
            format!("{name}: the spanning tree is not as it should be"),
            format!("{name} のスパニングツリーの設定が違います"),
        )
    }
}

impl Translation {
    fn missing(&self, namespace: &str) -> Text {
        match self {
            Self::Masquerade { from, .. } => Text::new(
                format!("{namespace} does not masquerade packets from {from} yet"),
                format!("{namespace} は、まだ {from} からのパケットを IP マスカレードしていません"),
            ),
            Self::Dnat { port, to } => Text::new(
                format!("{namespace} does not pass on port {port} to {to} yet"),
                format!("{namespace} は、まだポート {port} を {to} へ転送していません"),
            ),
        }
    }
}

impl ProbeFact {
    /// What it does, in words: `pc pings 1.1.1.1`.
    #[must_use]
    pub fn words(&self) -> Text {
        let from = &self.from;
        match &self.probe {
            Probe::Ping(ping) => {
                Text::new(format!("{from} pings {}", ping.to), format!("{from} から {} への ping", ping.to))
            }
            Probe::Tcp { to, port } => Text::new(
                format!("{from} connects to {to}, TCP port {port}"),
                format!("{from} から {to} の TCP ポート {port} への接続"),
            ),
            Probe::Http { to, port, .. } => Text::new(
                format!("{from} asks {to} for a web page (port {port})"),
                format!("{from} から {to}（ポート {port}）への HTTP アクセス"),
            ),
            Probe::Dns { name, .. } => {
                Text::new(format!("{from} looks up {name}"), format!("{from} での {name} の名前解決"))
            }
            _ => Text::new(format!("{from} probes"), format!("{from} からの確認")),
        }
    }

    fn missing(&self) -> Text {
        let words = self.words();
        let seen_as =
            self.seen_as.map(|a| (format!(", seen as {a}"), format!("（送信元が {a} に見えること）")));
        let (seen_en, seen_ja) = seen_as.unwrap_or_default();
        let ja = words.of(Language::Ja);
        // Behind a word in Latin letters a blank stands.
        let blank = if ja.ends_with(|c: char| c.is_ascii_alphanumeric()) { " " } else { "" };
        if self.outcome == Outcome::Ok {
            return Text::new(
                format!("not yet: {}{seen_en}", words.en),
                format!("{ja}{blank}がまだ成功しません{seen_ja}"),
            );
        }
        Text::new(
            format!("not yet `{}`: {}{seen_en}", self.outcome, words.en),
            format!("{ja}{blank}の結果が、まだ `{}` になりません{seen_ja}", self.outcome),
        )
    }
}
