//! Configurations of Quagga, run by FRR.

use std::io;

/// Makes FRR's configuration out of `/etc/quagga`.
///
/// # Errors
/// Those of reading and writing.
pub(super) fn translate() -> io::Result<()> {
    Ok(())
}
