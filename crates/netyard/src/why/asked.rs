//! The kernel, asked by a scout. Each question is asked once; links and addresses of all places in one go.

use crate::error::Result;
use crate::scout::{Question, RawOutline, Scout, Told};
use netyard_core::name::IfName;
use netyard_core::state::Ns;
use netyard_core::why::{Inside, Kernel, LinkKind, Listener, Outline, RouteAsk, RouteFound, errno};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Answers of kernels, as they were at the first question.
#[derive(Debug)]
pub struct Asked<'s> {
    scout: &'s Scout,
    places: Vec<Ns>,
    outlines: BTreeMap<Ns, Rc<Outline>>,
    refusals: BTreeMap<Ns, String>,
    standing: HashMap<(Ns, u32), Vec<(Ns, u32)>>,
    insides: HashMap<Ns, Rc<Inside>>,
    routes: HashMap<(Ns, RouteAsk), std::result::Result<RouteFound, i32>>,
    listeners: HashMap<Ns, Rc<Vec<Listener>>>,
}

impl<'s> Asked<'s> {
    /// Asks for links and addresses everywhere; in a lab, only there.
    ///
    /// # Errors
    /// That nobody answers any more.
    pub fn new(scout: &'s Scout, is_lab: bool) -> Result<Self> {
        let wanted = |place: &&crate::scout::Place| !is_lab || place.is_of_lab;
        let places: Vec<Ns> = scout.places().iter().filter(wanted).map(|place| place.name.clone()).collect();
        let questions = places.iter().map(|ns| (ns.clone(), Question::Outline)).collect();
        let mut raw: BTreeMap<Ns, RawOutline> = BTreeMap::new();
        let mut refusals = BTreeMap::new();
        for (ns, answer) in places.iter().zip(scout.ask_all(questions)) {
            match answer.map(|answer| answer.told) {
                Ok(Told::Outline(outline)) => {
                    raw.insert(ns.clone(), *outline);
                }
                Ok(_) => {}
                Err(error) => {
                    refusals.insert(ns.clone(), error.title.clone());
                }
            }
        }
        connect(scout, &mut raw);
        let mut standing: HashMap<(Ns, u32), Vec<(Ns, u32)>> = HashMap::new();
        for (ns, raw) in &raw {
            for link in raw.outline.links.iter().filter(|link| link.kind != LinkKind::Veth) {
                if let Some(end) = &link.end
                    && let Some(below) = &end.ns
                {
                    standing.entry((below.clone(), end.index)).or_default().push((ns.clone(), link.index));
                }
            }
        }
        let outlines = raw.into_iter().map(|(ns, raw)| (ns, Rc::new(raw.outline))).collect();
        let (insides, routes, listeners) = (HashMap::new(), HashMap::new(), HashMap::new());
        Ok(Self { scout, places, outlines, refusals, standing, insides, routes, listeners })
    }

    /// Why a namespace could not be looked into.
    #[must_use]
    pub fn refusal(&self, ns: &Ns) -> Option<String> {
        self.refusals.get(ns).cloned()
    }

    fn ask(&self, ns: &Ns, question: Question) -> Option<Told> {
        self.scout.ask(ns, question).ok().map(|answer| answer.told)
    }
}

/// Finds the namespace of each link's other end.
///
/// The kernel names the ifindex of the other end, and its namespace by a number that only the near one's namespace
/// knows. Those in which such a link is are asked for their numbers.
fn connect(scout: &Scout, raw: &mut BTreeMap<Ns, RawOutline>) {
    let mut by_indexes: HashMap<(u32, u32), Vec<Ns>> = HashMap::new();
    let mut by_index: HashMap<u32, Vec<Ns>> = HashMap::new();
    for (ns, raw) in raw.iter() {
        for link in &raw.outline.links {
            by_index.entry(link.index).or_default().push(ns.clone());
            if let (LinkKind::Veth, Some(end)) = (&link.kind, &link.end) {
                by_indexes.entry((link.index, end.index)).or_default().push(ns.clone());
            }
        }
    }
    let candidates = |link: &netyard_core::why::Link| -> Vec<Ns> {
        let Some(end) = &link.end else { return Vec::new() };
        let found = match link.kind {
            LinkKind::Veth => by_indexes.get(&(end.index, link.index)),
            _ => by_index.get(&end.index),
        };
        found.cloned().unwrap_or_default()
    };
    let mut questions = Vec::new();
    for (ns, raw) in raw.iter() {
        let mut wanted: Vec<Ns> = Vec::new();
        for (index, _) in &raw.numbers {
            let link = raw.outline.link(*index);
            wanted.extend(link.map(&candidates).unwrap_or_default());
        }
        wanted.sort();
        wanted.dedup();
        questions.extend((!wanted.is_empty()).then(|| (ns.clone(), wanted)));
    }
    let inode = |ns: &Ns| scout.place(ns).map_or(0, |place| place.inode);
    let asked = questions
        .iter()
        .map(|(ns, wanted)| (ns.clone(), Question::Numbers(wanted.iter().map(inode).collect())))
        .collect();
    let mut numbers: HashMap<(Ns, i32), Ns> = HashMap::new();
    for ((ns, wanted), answer) in questions.iter().zip(scout.ask_all(asked)) {
        if let Ok(Told::Numbers(told)) = answer.map(|answer| answer.told) {
            let known = wanted.iter().zip(told).filter_map(|(other, number)| Some((other, number?)));
            numbers.extend(known.map(|(other, number)| ((ns.clone(), number), other.clone())));
        }
    }
    for (ns, raw) in raw.iter_mut() {
        let own: HashMap<u32, i32> = raw.numbers.iter().copied().collect();
        for link in &mut raw.outline.links {
            let number = own.get(&link.index).copied();
            let Some(end) = &mut link.end else { continue };
            end.ns = match number {
                None => Some(ns.clone()),
                Some(number) => numbers.get(&(ns.clone(), number)).cloned(),
            };
        }
    }
}

impl Kernel for Asked<'_> {
    fn places(&self) -> Vec<Ns> {
        self.places.clone()
    }

    fn outline(&mut self, ns: &Ns) -> Option<Rc<Outline>> {
        self.outlines.get(ns).cloned()
    }

    fn inside(&mut self, ns: &Ns) -> Rc<Inside> {
        if let Some(known) = self.insides.get(ns) {
            return known.clone();
        }
        // Of links without an address nothing is asked that is asked of them.
        let interfaces: Vec<IfName> = self.outlines.get(ns).map_or_else(Vec::new, |outline| {
            let with_address =
                outline.links.iter().filter(|l| outline.addresses_of(l.index).next().is_some());
            with_address.map(|link| link.name.clone()).collect()
        });
        let inside = match self.ask(ns, Question::Inside(interfaces)) {
            Some(Told::Inside(inside)) => *inside,
            _ => Inside {
                unread_rules: Some("the namespace is gone, or cannot be looked into".to_owned()),
                ..Inside::default()
            },
        };
        let inside = Rc::new(inside);
        self.insides.insert(ns.clone(), inside.clone());
        inside
    }

    fn route(&mut self, ns: &Ns, ask: &RouteAsk) -> std::result::Result<RouteFound, i32> {
        let key = (ns.clone(), *ask);
        if let Some(known) = self.routes.get(&key) {
            return known.clone();
        }
        let said = match self.ask(ns, Question::Route(*ask)) {
            Some(Told::Route(said)) => said,
            _ => Err(errno::ENETUNREACH),
        };
        self.routes.insert(key, said.clone());
        said
    }

    fn listeners(&mut self, ns: &Ns) -> Rc<Vec<Listener>> {
        if let Some(known) = self.listeners.get(ns) {
            return known.clone();
        }
        let found = match self.ask(ns, Question::Listeners) {
            Some(Told::Listeners(found)) => found,
            _ => Vec::new(),
        };
        let found = Rc::new(found);
        self.listeners.insert(ns.clone(), found.clone());
        found
    }

    fn keeper_of_unnamed(&self, ns: &Ns) -> Option<(String, u32)> {
        self.scout.place(ns)?.keeper.clone()
    }

    fn standing_on(&mut self, ns: &Ns, index: u32) -> Vec<(Ns, u32)> {
        self.standing.get(&(ns.clone(), index)).cloned().unwrap_or_default()
    }
}
