//! Failures on demand, so that tests see what happens after each one.

/// Makes one change to the kernel fail with `EIO` before it is sent, and all after it stay undone.
///
/// Counted are namespaces made, netlink requests, sysctls written, ethtool calls and nf_tables transactions.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Which change fails, from 0; none to let all pass.
    pub fail_at: Option<usize>,
    /// Changes counted so far.
    pub count: usize,
}

impl Faults {
    /// Lets everything pass.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Makes the change with this number fail.
    #[must_use]
    pub fn at(index: usize) -> Self {
        Self { fail_at: Some(index), count: 0 }
    }

    /// Counts a change that is about to be made and tells whether it shall fail instead.
    pub(crate) fn strikes(&mut self) -> bool {
        let strikes = self.fail_at == Some(self.count);
        self.count += 1;
        strikes
    }
}
