//! Questions to the daemons of FRR in a node, by the sockets at which vtysh(1) asks them.

use super::{Miss, NodeSockets, SocketKind, open};
use netyard_core::frr::{self, Daemon, Neighbour};
use netyard_core::name::NodeName;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::fs::File;
use std::io::{self, Read, Write};
use std::time::Duration;

/// How long a daemon may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(3);
/// The longest answer in bytes.
const ANSWER_LEN_MAX: usize = 16 << 20;

/// The neighbours of a daemon.
///
/// # Errors
/// That it does not run, or does not answer.
pub fn neighbours(
    sockets: &dyn NodeSockets,
    node: &NodeName,
    daemon: Daemon,
) -> Result<Vec<Neighbour>, Miss> {
    let socket = open(sockets, node, SocketKind::Frr(daemon))?;
    let failed =
        |error: &io::Error| Miss::impossible(format!("{} of {node} does not answer: {error}", daemon.name()));
    set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_TIME)).map_err(|e| failed(&e.into()))?;
    let answer = ask(&mut File::from(socket), daemon.command()).map_err(|e| failed(&e))?;
    frr::neighbours(daemon, &answer)
        .map_err(|line| Miss::impossible(format!("{} of {node} says: {line}", daemon.name())))
}

/// One command and its answer: the command ends with a zero byte, the answer with three and a status.
///
/// Source: FRR's lib/vty.c `vtysh_read` and `vtysh_write`.
fn ask(stream: &mut (impl Read + Write), command: &str) -> io::Result<String> {
    stream.write_all(command.as_bytes())?;
    stream.write_all(&[0])?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !matches!(answer.as_slice(), [.., 0, 0, 0, _]) {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => answer.extend_from_slice(&buffer[..length]),
        }
        if answer.len() > ANSWER_LEN_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
    answer.truncate(answer.len() - 4);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what is written, and gives the answer in small pieces.
    struct Daemon(Vec<u8>, std::io::Cursor<Vec<u8>>);

    impl Write for Daemon {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Daemon {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1.read(&mut buffer[..2])
        }
    }

    #[test]
    fn an_answer_ends_with_its_status() {
        let mut daemon = Daemon(Vec::new(), std::io::Cursor::new(b"{\"a\":1}\n\0\0\0\0".to_vec()));
        assert_eq!(ask(&mut daemon, "show x").unwrap(), "{\"a\":1}\n");
        assert_eq!(daemon.0, b"show x\0");
        let mut daemon = Daemon(Vec::new(), std::io::Cursor::new(b"cut off\0\0".to_vec()));
        assert_eq!(ask(&mut daemon, "show x").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
