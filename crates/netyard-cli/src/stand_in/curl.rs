//! curl(1).

use crate::output;
use netyard::probe::http::unchunk;
use netyard_core::stand_in::curl::{self, Body, Failure, Head, Order};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The longest that a connection is waited for, as curl's own.
const CONNECT_MAX: Duration = Duration::from_secs(300);

pub fn run(typed: &[String]) -> u8 {
    let (order, outcome) = match curl::order(typed) {
        Ok(order) => {
            let outcome = fetch(&order);
            (Some(order), outcome)
        }
        Err(failure) => (None, Err(failure)),
    };
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            if !order.is_some_and(|order| order.is_silent) {
                output::say(&format!("curl: {}", failure.words));
            }
            failure.code
        }
    }
}

/// A transfer under way.
struct Transfer<'a> {
    order: &'a Order,
    begun: Instant,
    stream: TcpStream,
    received: Vec<u8>,
    /// Where the body goes, once there is some.
    file: Option<File>,
}

fn fetch(order: &Order) -> Result<(), Failure> {
    let begun = Instant::now();
    let stream = connect(order, begun)?;
    let mut transfer = Transfer { order, begun, stream, received: Vec::new(), file: None };
    let request = curl::request(order);
    transfer
        .stream
        .write_all(request.as_bytes())
        .map_err(|e| Failure::new(55, format!("Send failure: {}", super::words(&e))))?;
    verbose(order, "> ", &request);
    let head = transfer.head()?;
    let text = String::from_utf8_lossy(&transfer.received[..head.len]).into_owned();
    verbose(order, "< ", &text);
    let is_failure = order.fails && head.status >= 400;
    if order.only_header || (order.shows_header && !is_failure) {
        transfer.write(text.as_bytes())?;
    }
    if is_failure {
        return Err(Failure::new(22, format!("The requested URL returned error: {}", head.status)));
    }
    if order.only_header {
        return Ok(());
    }
    let body = transfer.body(&head)?;
    transfer.write(&body)
}

fn verbose(order: &Order, mark: &str, text: &str) {
    if order.is_verbose {
        text.split("\r\n")
            .take(text.matches("\r\n").count())
            .for_each(|line| output::say(&format!("{mark}{line}")));
    }
}

fn connect(order: &Order, begun: Instant) -> Result<TcpStream, Failure> {
    let url = &order.url;
    let addresses: Vec<SocketAddr> = (url.host.as_str(), url.port)
        .to_socket_addrs()
        .map_err(|_| Failure::new(6, format!("Could not resolve host: {}", url.host)))?
        .filter(|address| order.is_ipv6.is_none_or(|is_ipv6| address.is_ipv6() == is_ipv6))
        .collect();
    if addresses.is_empty() {
        return Err(Failure::new(6, format!("Could not resolve host: {}", url.host)));
    }
    let limit = [order.connect_max, order.time_max].into_iter().flatten().min().unwrap_or(CONNECT_MAX);
    let mut last = None;
    for address in addresses {
        if order.is_verbose {
            output::say(&format!("*   Trying {address}..."));
        }
        let left = limit.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                if order.is_verbose {
                    let words = format!("* Connected to {} ({}) port {}", url.host, address.ip(), url.port);
                    output::say(&words);
                }
                return Ok(stream);
            }
            Err(error) => {
                if order.is_verbose {
                    output::say(&format!(
                        "* connect to {} port {} failed: {}",
                        address.ip(),
                        url.port,
                        super::words(&error)
                    ));
                }
                last = Some(error);
            }
        }
    }
    let spent = begun.elapsed().as_millis();
    Err(match last {
        Some(error) if error.kind() == io::ErrorKind::TimedOut && spent + 1 >= limit.as_millis() => {
            Failure::new(28, format!("Connection timed out after {spent} milliseconds"))
        }
        _ => Failure::new(
            7,
            format!(
                "Failed to connect to {} port {} after {spent} ms: Couldn't connect to server",
                url.host, url.port
            ),
        ),
    })
}

impl Transfer<'_> {
    /// Receives until the header is whole.
    fn head(&mut self) -> Result<Head, Failure> {
        loop {
            if let Some(head) = curl::head(&self.received)? {
                if head.status / 100 != 1 || head.status == 101 {
                    return Ok(head);
                }
                // An interim answer; the real one follows (RFC 9110 15.2).
                self.received.drain(..head.len);
                continue;
            }
            if !self.more()? {
                return Err(Failure::new(52, "Empty reply from server"));
            }
        }
    }

    fn body(&mut self, head: &Head) -> Result<Vec<u8>, Failure> {
        loop {
            let body = &self.received[head.len..];
            match head.body {
                Body::Length(length) if body.len() as u64 >= length => {
                    return Ok(body[..usize::try_from(length).unwrap_or(usize::MAX).min(body.len())].to_vec());
                }
                Body::Chunked => match unchunk(body) {
                    Ok((body, true)) => return Ok(body),
                    Ok(_) => {}
                    Err(why) => {
                        return Err(Failure::new(
                            56,
                            format!("chunk hex-length char not a hex digit: {why}"),
                        ));
                    }
                },
                _ => {}
            }
            if self.more()? {
                continue;
            }
            let body = self.received.split_off(head.len);
            return match head.body {
                Body::UntilClosed => Ok(body),
                Body::Length(length) => {
                    let left = length - body.len() as u64;
                    self.write(&body)?;
                    Err(Failure::new(18, format!("transfer closed with {left} bytes remaining to read")))
                }
                Body::Chunked => {
                    Err(Failure::new(18, "transfer closed with outstanding read data remaining"))
                }
            };
        }
    }

    /// Receives once; false when the server has closed the connection.
    fn more(&mut self) -> Result<bool, Failure> {
        let late = |begun: Instant, received: usize| {
            let spent = begun.elapsed().as_millis();
            Failure::new(
                28,
                format!("Operation timed out after {spent} milliseconds with {received} bytes received"),
            )
        };
        if let Some(limit) = self.order.time_max {
            let left = limit.saturating_sub(self.begun.elapsed());
            if left.is_zero() {
                return Err(late(self.begun, self.received.len()));
            }
            let _ = self.stream.set_read_timeout(Some(left));
        }
        let mut piece = [0; 16 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(len) => {
                    self.received.extend_from_slice(&piece[..len]);
                    return Ok(len > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(late(self.begun, self.received.len()));
                }
                Err(error) => {
                    return Err(Failure::new(56, format!("Recv failure: {}", super::words(&error))));
                }
            }
        }
    }

    /// Writes what was asked for to where it is wanted.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let failed = |_| Failure::new(23, "Failure writing output to destination");
        let Some(path) = self.order.output.as_deref().filter(|path| *path != "-") else {
            let mut output = io::stdout();
            return output.write_all(bytes).and_then(|()| output.flush()).map_err(failed);
        };
        if self.file.is_none() {
            self.file = Some(File::create(path).map_err(failed)?);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes)).map_err(failed)
    }
}
