//! What a picture shows: blocks with ports, and wires between ports.

/// A picture before anything is decided about places, characters or colours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// What is shown, for titles: the lab's name.
    pub title: String,
    /// Boxes, in the order in which a reader would name them.
    pub blocks: Vec<Block>,
    /// Wires between ports of the boxes.
    pub wires: Vec<Wire>,
}

/// A box: a node, or a network that has more than a wire to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Name of the node or network; of a collapsed box the range of names.
    pub name: String,
    /// Free words beside the name, in any script.
    pub caption: Option<String>,
    /// What the box stands for.
    pub what: What,
    /// What it is for: decides its place, its border and its colour.
    pub role: Role,
    /// Ports in their order.
    pub ports: Vec<Port>,
    /// Facts about the box as a whole.
    pub notes: Vec<Note>,
    /// Names that a collapsed box covers; empty for a box that stands for itself.
    pub members: Vec<String>,
}

/// What a box stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// A node: a network namespace.
    Node,
    /// A network: a layer-2 segment outside of the nodes.
    Network,
}

/// What a box is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// An end node.
    Host,
    /// A node that forwards packets.
    Router,
    /// A bridge, be it a network or a node; drawn with a double line.
    Bridge,
    /// A bridge that learns nothing; drawn with a double line.
    Hub,
    /// The rest of the world.
    Internet,
}

/// A place on the border of a box where a wire may end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Port {
    /// Interface name.
    pub name: String,
    /// Facts about this port, its addresses first.
    pub notes: Vec<Note>,
    /// Whether the link is down here.
    pub is_down: bool,
}

/// A fact in a box, one line long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// The words.
    pub text: String,
}

/// What a note is about. Where a picture is too wide, routes and remarks are left out first, then addresses, settings
/// and shaping, at last translation and filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoteKind {
    /// An address or a prefix.
    Address,
    /// A route.
    Route,
    /// Address translation.
    Nat,
    /// Packet filter.
    Firewall,
    /// Setting of a bridge or of a network.
    Setting,
    /// Rate, delay, loss.
    Shaping,
    /// Programs, labels and other words.
    Remark,
}

/// A wire between two ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// Its ends.
    pub ends: [End; 2],
    /// Name of the network, where the wire is one by itself (a cable).
    pub name: Option<String>,
}

/// One end of a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// Index in [`Picture::blocks`].
    pub block: usize,
    /// Index in [`Block::ports`].
    pub port: usize,
}

impl Picture {
    /// An empty picture.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), ..Self::default() }
    }

    /// Adds a box and returns its index.
    pub fn add(&mut self, block: Block) -> usize {
        self.blocks.push(block);
        self.blocks.len() - 1
    }

    /// Adds a wire between two ports, each given as (block, port), and returns its index.
    ///
    /// A port with several wires is drawn once per wire.
    ///
    /// # Panics
    /// When a port does not exist or both ends are the same: faults of the caller.
    pub fn connect(&mut self, one: (usize, usize), other: (usize, usize)) -> usize {
        let ends = [one, other].map(|(block, port)| End { block, port });
        assert!(ends[0] != ends[1], "a wire has two ends");
        for end in ends {
            assert!(self.blocks[end.block].ports.len() > end.port, "port {} does not exist", end.port);
        }
        self.wires.push(Wire { ends, name: None });
        self.wires.len() - 1
    }

    /// Marks the link of a node's interface as down. Returns whether the picture has such a port.
    pub fn mark_down(&mut self, node: &str, interface: &str) -> bool {
        let port = self.port_mut(node, interface);
        port.map(|port| port.is_down = true).is_some()
    }

    /// The port of a node's interface, for facts that are laid over the picture.
    pub fn port_mut(&mut self, node: &str, interface: &str) -> Option<&mut Port> {
        let block = self.blocks.iter_mut().find(|b| b.what == What::Node && b.name == node)?;
        block.ports.iter_mut().find(|port| port.name == interface)
    }

    /// The port at the end of a wire.
    #[must_use]
    pub fn port(&self, end: End) -> &Port {
        &self.blocks[end.block].ports[end.port]
    }

    /// Wires whose ends exist, with their indices.
    pub(super) fn sound_wires(&self) -> impl Iterator<Item = (usize, &Wire)> {
        let exists = |end: &End| self.blocks.get(end.block).is_some_and(|block| end.port < block.ports.len());
        let sound = move |wire: &Wire| wire.ends[0] != wire.ends[1] && wire.ends.iter().all(exists);
        self.wires.iter().enumerate().filter(move |(_, wire)| sound(wire))
    }

    /// Whether either end of the wire is down.
    #[must_use]
    pub fn is_down(&self, wire: &Wire) -> bool {
        wire.ends.iter().any(|end| self.port(*end).is_down)
    }
}

impl Block {
    /// A node.
    #[must_use]
    pub fn node(name: &str, role: Role) -> Self {
        Self::of(What::Node, name, role)
    }

    /// A network.
    #[must_use]
    pub fn network(name: &str, role: Role) -> Self {
        Self::of(What::Network, name, role)
    }

    fn of(what: What, name: &str, role: Role) -> Self {
        let (ports, notes, members) = (Vec::new(), Vec::new(), Vec::new());
        Self { name: name.to_owned(), caption: None, what, role, ports, notes, members }
    }

    /// The box with one port more.
    #[must_use]
    pub fn port(mut self, port: Port) -> Self {
        self.ports.push(port);
        self
    }

    /// The box with one note more.
    #[must_use]
    pub fn note(mut self, kind: NoteKind, text: impl Into<String>) -> Self {
        self.notes.push(Note::new(kind, text));
        self
    }

    /// Name, number of covered boxes and caption, as a title shows them.
    #[must_use]
    pub fn title(&self) -> String {
        let mut title = self.name.clone();
        if !self.members.is_empty() {
            title.push_str(&format!(" ×{}", self.members.len()));
        }
        if let Some(caption) = &self.caption {
            title.push(' ');
            title.push_str(caption);
        }
        title
    }
}

impl Port {
    /// A port without facts.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The port with one note more.
    #[must_use]
    pub fn note(mut self, kind: NoteKind, text: impl Into<String>) -> Self {
        self.notes.push(Note::new(kind, text));
        self
    }
}

impl Note {
    /// A note.
    #[must_use]
    pub fn new(kind: NoteKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

impl Role {
    /// The word in the corner of a box.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Router => "router",
            Self::Bridge => "bridge",
            Self::Hub => "hub",
            Self::Internet => "cloud",
        }
    }

    /// Whether boxes of this role have a double border.
    #[must_use]
    pub fn is_double(self) -> bool {
        matches!(self, Self::Bridge | Self::Hub)
    }
}
