//! The servers of the lab's internet nodes, each on a thread of the holder.

use crate::error::{Error, Result};
use crate::internet::names::Names;
use crate::internet::{self, Listeners};
use crate::namespaces::Namespaces;
use netyard_core::lab::{Lab, Node, Role};
use netyard_core::name::NodeName;
use netyard_core::state::Ns;
use netyard_kernel::traveller::Traveller;
use std::collections::BTreeMap;
use std::io::{self, PipeWriter};
use std::os::fd::AsFd;

/// Small: the servers keep their buffers on the heap.
const STACK_LEN: usize = 256 * 1024;

/// One server for each node of role internet.
#[derive(Debug, Default)]
pub(super) struct InternetServers {
    running: BTreeMap<NodeName, Server>,
    /// What they answer from.
    names: Option<Names>,
}

#[derive(Debug)]
struct Server {
    /// The server ends when this is closed, and is waited for: its ports are free then.
    stop: Option<PipeWriter>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl InternetServers {
    /// Serves the internet nodes of this lab. Where the lab has changed since the last time, servers begin anew:
    /// their names and address families may be others.
    ///
    /// # Errors
    /// That a port cannot be listened on.
    pub(super) fn change_to(&mut self, lab: &Lab, namespaces: &Namespaces) -> Result<()> {
        let nodes: Vec<&Node> = lab.nodes.iter().filter(|node| node.role == Role::Internet).collect();
        let names = Names::of(lab);
        let is_served =
            nodes.len() == self.running.len() && nodes.iter().all(|n| self.running.contains_key(&n.name));
        if is_served && (nodes.is_empty() || self.names.as_ref() == Some(&names)) {
            return Ok(());
        }
        self.running.clear();
        for node in nodes {
            let ns = Ns::Node(node.name.clone());
            let fd = namespaces
                .fd(&ns)
                .ok_or_else(|| Error::kernel("K010", format!("`{ns}` has no namespace")))?;
            let has_ipv6 = lab.uses_ipv6();
            let opened = Traveller::run(|traveller| {
                traveller.enter(fd)?;
                Listeners::open(has_ipv6)
            });
            let server = opened.and_then(|listeners| Server::start(listeners?, names.clone()));
            let server = server
                .map_err(|e| Error::io(format!("cannot serve in internet node `{}`", node.name), &e))?;
            self.running.insert(node.name.clone(), server);
        }
        self.names = (!self.running.is_empty()).then_some(names);
        Ok(())
    }
}

impl Server {
    fn start(listeners: Listeners, names: Names) -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let serve = move || {
            // A failed poll ends the server; callers see the ports closed.
            let _ = internet::serve(&listeners, &names, stopped.as_fd());
        };
        let thread =
            std::thread::Builder::new().name("internet".into()).stack_size(STACK_LEN).spawn(serve)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
