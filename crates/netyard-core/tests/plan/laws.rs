//! What holds for the plans of all labs. A failure prints its seed and the smallest pair of labs that shows it.

use crate::labs;
use crate::model::Kernel;
use crate::random;
use netyard_core::desired;
use netyard_core::diff::diff;
use netyard_core::lab::Lab;
use netyard_core::state::State;
use netyard_core::step::Step;
use proptest::prelude::*;

/// Changes a machine as the plan towards a lab says, and checks that it is as the lab wants.
fn turn_into(kernel: &mut Kernel, lab: &Lab) {
    let wanted = desired::state(lab);
    let steps = diff(&kernel.state, &wanted);
    for step in &steps {
        kernel.apply(step);
    }
    let mut is = kernel.state.clone();
    keep_wanted_sysctls(&mut is, &wanted);
    let words = || steps.iter().flat_map(Step::commands).collect::<Vec<_>>().join("\n");
    for (ns, wanted) in &wanted.namespaces {
        assert_eq!(is.namespaces.get(ns), Some(wanted), "{ns} after\n{}", words());
    }
    assert_eq!(is.namespaces.len(), wanted.namespaces.len(), "after\n{}", words());
    assert_eq!(diff(&kernel.state, &wanted), []);
}

/// Values that nobody asks for any more stay as they are.
fn keep_wanted_sysctls(state: &mut State, wanted: &State) {
    for (ns, namespace) in &mut state.namespaces {
        let keys = wanted.namespaces.get(ns).map(|wanted| &wanted.sysctls);
        namespace.sysctls.retain(|key, _| keys.is_some_and(|keys| keys.contains_key(key)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_leads_from_any_lab_to_any_other(first in random::labs(), second in random::labs()) {
        let mut kernel = Kernel::default();
        turn_into(&mut kernel, &first);
        turn_into(&mut kernel, &second);
        turn_into(&mut kernel, &first);
    }

    #[test]
    fn a_plan_to_nothing_leaves_nothing(lab in random::labs()) {
        let mut kernel = Kernel::default();
        turn_into(&mut kernel, &lab);
        for step in diff(&kernel.state, &State::default()) {
            kernel.apply(&step);
        }
        prop_assert_eq!(kernel.state, State::default());
    }

    #[test]
    fn a_plan_mends_links_that_were_pulled(lab in random::labs(), which in any::<prop::sample::Index>()) {
        let mut kernel = Kernel::default();
        turn_into(&mut kernel, &lab);
        let links: Vec<_> = kernel.state.namespaces.iter()
            .flat_map(|(ns, namespace)| namespace.links.keys().map(move |name| (ns.clone(), name.clone())))
            .filter(|(_, name)| *name != "lo")
            .collect();
        if !links.is_empty() {
            let (ns, name) = which.get(&links).clone();
            kernel.apply(&Step::SetLinkUp { ns, name, is_up: false });
            turn_into(&mut kernel, &lab);
        }
    }
}

#[test]
fn the_labs_of_these_tests_are_built_and_left_alone() {
    for lab in [labs::home(), labs::chain(), labs::star(3), labs::star(1001)] {
        turn_into(&mut Kernel::default(), &lab);
    }
}
