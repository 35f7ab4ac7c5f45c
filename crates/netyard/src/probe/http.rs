//! A small HTTP/1.1 client: one GET, one answer (RFC 9112).

use super::tcp;
use super::wait::{Deadline, ready};
use super::{Miss, NodeSockets, Patience};
use netyard_core::expect::Outcome;
use netyard_core::name::NodeName;
use rustix::event::PollFlags;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Get<'a> {
    /// The server.
    pub to: SocketAddr,
    /// What goes into the `Host` header.
    pub host: &'a str,
    /// Path with its query; `/` where it is empty.
    pub path: &'a str,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, 100 to 999.
    pub status: u16,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as long as [`BODY_LEN_MAX`] at most.
    pub body: Vec<u8>,
    /// Time from the first SYN to the last byte.
    pub duration: Duration,
}

impl Response {
    /// The first header field of that name, given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// Bytes of a body that are read; the rest is left.
pub const BODY_LEN_MAX: usize = 1 << 20;
const HEAD_LEN_MAX: usize = 64 << 10;
/// An answer may take this many times the patience as a whole, in case it comes in drops.
const PIECES_MAX: u32 = 10;

/// Asks for a page from a node.
///
/// # Errors
/// The [`Miss`] that came instead: that of the connection, silence, or as refused an answer that is not HTTP.
pub fn get(
    sockets: &dyn NodeSockets,
    from: &NodeName,
    what: Get<'_>,
    patience: Patience<'_>,
) -> Result<Response, Miss> {
    let connection = tcp::connect(sockets, from, what.to, patience)?;
    let mut stream = &connection.stream;
    let to = what.to.ip();
    stream.write_all(request(what).as_bytes()).map_err(|e| Miss::of_answer_error(&e, to))?;
    stream.set_nonblocking(true).map_err(|e| Miss::of_answer_error(&e, to))?;
    // The server may take its time between two pieces, so silence is counted from the last one.
    let mut deadline = Deadline::start(patience);
    let start = Instant::now();
    let mut received = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return finish(&received, true, &connection, start, to),
            Ok(len) => {
                received.extend_from_slice(&piece[..len]);
                if let Ok(Parsed::Whole(_)) | Err(_) = parse(&received, false) {
                    return finish(&received, false, &connection, start, to);
                }
                if start.elapsed() > patience.silence * PIECES_MAX {
                    return Err(Miss::new(
                        Outcome::Timeout,
                        format!("{to} answered without coming to an end"),
                    ));
                }
                deadline = Deadline::start(patience);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let event = ready(stream, PollFlags::IN, &mut deadline)
                    .map_err(|e| Miss::impossible(format!("cannot wait for an answer: {e}")))?;
                if event.is_none() {
                    return Err(Miss::new(
                        Outcome::Timeout,
                        format!("{to} took the connection and did not answer the request"),
                    ));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Miss::of_answer_error(&error, to)),
        }
    }
}

fn finish(
    received: &[u8],
    is_closed: bool,
    connection: &tcp::Connection,
    start: Instant,
    to: IpAddr,
) -> Result<Response, Miss> {
    match parse(received, is_closed) {
        Ok(Parsed::Whole(mut response)) => {
            response.duration = connection.handshake + start.elapsed();
            Ok(response)
        }
        Ok(Parsed::Part) if received.is_empty() => {
            Err(Miss::new(Outcome::Refused, format!("{to} closed the connection without an answer")))
        }
        Ok(Parsed::Part) => {
            Err(Miss::new(Outcome::Refused, format!("{to} closed the connection in mid-answer")))
        }
        Err(NotHttp(why)) => Err(Miss::new(Outcome::Refused, format!("{to} did not answer in HTTP: {why}"))),
    }
}

fn request(what: Get<'_>) -> String {
    // A blank or line break would end the request line early; the caller's path is not trusted to have none.
    let path: String = what.path.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let slash = if path.starts_with('/') { "" } else { "/" };
    let host: String = what.host.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    let port = if what.to.port() == 80 { String::new() } else { format!(":{}", what.to.port()) };
    format!(
        "GET {slash}{path} HTTP/1.1\r\nHost: {host}{port}\r\nUser-Agent: netyard\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
}

/// Why bytes are not an HTTP answer.
#[derive(Debug, PartialEq, Eq)]
pub struct NotHttp(&'static str);

impl std::fmt::Display for NotHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    /// More bytes are needed.
    Part,
    /// The answer is complete, or as long as is read.
    Whole(Response),
}

/// Reads an answer as far as it has come; `is_closed` when nothing follows.
fn parse(bytes: &[u8], is_closed: bool) -> Result<Parsed, NotHttp> {
    let Some(head_len) = find(bytes, b"\r\n\r\n") else {
        let is_plausible = bytes.starts_with(b"HTTP/1.") || b"HTTP/1.".starts_with(bytes);
        return match () {
            () if !is_plausible => Err(NotHttp("it does not begin with HTTP/1.")),
            () if bytes.len() > HEAD_LEN_MAX => Err(NotHttp("its header does not end")),
            () => Ok(Parsed::Part),
        };
    };
    let head = std::str::from_utf8(&bytes[..head_len]).map_err(|_| NotHttp("its header is not text"))?;
    let body = &bytes[head_len + 4..];
    let mut lines = head.split("\r\n");
    let status = status_of(lines.next().unwrap_or_default())?;
    if (100..200).contains(&status) && status != 101 {
        return parse(body, is_closed); // An interim answer; the real one follows (RFC 9110 15.2).
    }
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let whole = |body: &[u8]| {
        let body = body[..body.len().min(BODY_LEN_MAX)].to_vec();
        Ok(Parsed::Whole(Response { status, headers: headers.clone(), body, duration: Duration::ZERO }))
    };
    if status == 204 || status == 304 {
        return whole(&[]);
    }
    let is_chunked =
        header(&headers, "transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with("chunked"));
    if is_chunked {
        let (body, is_whole) = unchunk(body)?;
        return if is_whole || body.len() >= BODY_LEN_MAX { whole(&body) } else { Ok(Parsed::Part) };
    }
    match header(&headers, "content-length") {
        Some(length) => {
            let length: usize = length.parse().map_err(|_| NotHttp("its Content-Length is not a number"))?;
            let wanted = length.min(BODY_LEN_MAX);
            if body.len() >= wanted { whole(&body[..wanted]) } else { Ok(Parsed::Part) }
        }
        None if is_closed || body.len() >= BODY_LEN_MAX => whole(body),
        None => Ok(Parsed::Part),
    }
}

fn status_of(line: &str) -> Result<u16, NotHttp> {
    let mut words = line.split(' ');
    if !words.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err(NotHttp("it does not begin with HTTP/1."));
    }
    let status = words.next().filter(|word| word.len() == 3).and_then(|word| word.parse().ok());
    status.filter(|status| *status >= 100).ok_or(NotHttp("its status is not a number"))
}

/// Takes the chunks apart: size in hexadecimal, line break, that many bytes, line break; size 0 ends (RFC 9112 7.1).
/// Gives what has come, and whether it is all.
///
/// # Errors
/// A chunk without a size.
pub fn unchunk(mut rest: &[u8]) -> Result<(Vec<u8>, bool), NotHttp> {
    let mut body = Vec::new();
    loop {
        let Some(line_len) = find(rest, b"\r\n") else { return Ok((body, false)) };
        let line = std::str::from_utf8(&rest[..line_len]).map_err(|_| NotHttp("a chunk has no size"))?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| NotHttp("a chunk has no size"))?;
        if size == 0 {
            return Ok((body, true));
        }
        rest = &rest[line_len + 2..];
        let here = size.min(rest.len()).min(BODY_LEN_MAX - body.len());
        body.extend_from_slice(&rest[..here]);
        match size.checked_add(2).and_then(|skipped| rest.get(skipped..)) {
            Some(next) if body.len() < BODY_LEN_MAX => rest = next,
            _ => return Ok((body, false)),
        }
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, is_closed: bool, expected: Option<(u16, &str)>) {
        let found = match parse(bytes.as_bytes(), is_closed) {
            Ok(Parsed::Whole(response)) => Some((response.status, String::from_utf8(response.body).unwrap())),
            Ok(Parsed::Part) | Err(_) => None,
        };
        assert_eq!(found.as_ref().map(|(status, body)| (*status, body.as_str())), expected, "{bytes:?}");
    }

    #[test]
    fn the_body_ends_by_length_by_chunk_or_by_closing() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, Some((200, "hi")));
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", true, None);
        check("HTTP/1.0 404 Not Found\r\n\r\nno", true, Some((404, "no")));
        check("HTTP/1.0 200 OK\r\n\r\nmore", false, None);
        let chunked =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n3;x=y\r\n yo\r\n0\r\n\r\n";
        check(chunked, false, Some((200, "hi yo")));
        check(&chunked[..chunked.len() - 8], false, None);
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", false, Some((204, "")));
    }

    #[test]
    fn what_is_not_http_is_refused_at_once() {
        assert_eq!(parse(b"SSH-2.0-x", false), Err(NotHttp("it does not begin with HTTP/1.")));
        assert_eq!(parse(b"HTTP/1.1 abc\r\n\r\n", false), Err(NotHttp("its status is not a number")));
        let huge = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nx";
        assert_eq!(parse(huge, false), Ok(Parsed::Part));
    }

    #[test]
    fn no_prefix_of_an_answer_breaks_the_parser() {
        let whole =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nX: \xc3\xa9\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        for len in 0..whole.len() {
            assert!(parse(&whole[..len], false).is_ok(), "{len}");
        }
        for index in 0..whole.len() {
            for byte in [0, 13, 10, 255] {
                let mut broken = whole.to_vec();
                broken[index] = byte;
                let _ = parse(&broken, true);
            }
        }
    }

    #[test]
    fn a_path_cannot_smuggle_a_second_request() {
        let to = "[fd00::1]:8080".parse().unwrap();
        let text = request(Get { to, host: "fd00::1", path: "a b\r\nGET /x" });
        assert!(text.starts_with("GET /abGET/x HTTP/1.1\r\nHost: [fd00::1]:8080\r\n"), "{text}");
    }
}
