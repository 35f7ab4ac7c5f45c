//! curl(1): its options, its request and its words, for plain HTTP.

use super::options::{self, Known, Word, Wrong};
use std::time::Duration;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Where to ask.
    pub url: Url,
    /// `-I`: only the header.
    pub only_header: bool,
    /// `-i`: the header too.
    pub shows_header: bool,
    /// `-s`: no words on errors.
    pub is_silent: bool,
    /// `-v`: what is sent and received.
    pub is_verbose: bool,
    /// `-f`: no body, and exit code 22, where the server says 400 or more.
    pub fails: bool,
    /// `-o`: the file for the body.
    pub output: Option<String>,
    /// `-m`: the longest that all may take.
    pub time_max: Option<Duration>,
    /// `--connect-timeout`.
    pub connect_max: Option<Duration>,
    /// `-H`: header lines.
    pub headers: Vec<String>,
    /// `-X`: the method.
    pub method: Option<String>,
    /// `-4`, `-6`: whether the address must be of IPv6.
    pub is_ipv6: Option<bool>,
}

/// A place to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// From the slash on.
    pub path: String,
}

const OPTIONS: [Known; 16] = [
    Known { letter: 'I', name: "head", takes_value: false },
    Known { letter: 'i', name: "include", takes_value: false },
    Known { letter: 's', name: "silent", takes_value: false },
    Known { letter: 'S', name: "show-error", takes_value: false },
    Known { letter: 'v', name: "verbose", takes_value: false },
    Known { letter: 'f', name: "fail", takes_value: false },
    Known { letter: 'o', name: "output", takes_value: true },
    Known { letter: 'O', name: "remote-name", takes_value: false },
    Known { letter: 'm', name: "max-time", takes_value: true },
    Known { letter: '\0', name: "connect-timeout", takes_value: true },
    Known { letter: 'H', name: "header", takes_value: true },
    Known { letter: 'X', name: "request", takes_value: true },
    Known { letter: 'A', name: "user-agent", takes_value: true },
    Known { letter: '4', name: "ipv4", takes_value: false },
    Known { letter: '6', name: "ipv6", takes_value: false },
    Known { letter: 'L', name: "location", takes_value: false },
];

/// Why it ends: curl's exit code, and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code (curl(1) "EXIT CODES").
    pub code: u8,
    /// What follows `curl: `.
    pub words: String,
}

impl Failure {
    /// A failure of curl with its number.
    #[must_use]
    pub fn new(code: u8, words: impl AsRef<str>) -> Self {
        Self { code, words: format!("({code}) {}", words.as_ref()) }
    }
}

/// What curl says to an option that is none.
fn wrong_option(wrong: &Wrong) -> String {
    match wrong {
        Wrong::Letter(letter) => format!("option -{letter}: is unknown"),
        Wrong::Name(name) => format!("option --{name}: is unknown"),
        Wrong::Ambiguous(name) => format!("option --{name}: is ambiguous"),
        Wrong::LetterWithoutValue(letter) => format!("option -{letter}: requires parameter"),
        Wrong::NameWithoutValue(name) => format!("option --{name}: requires parameter"),
        Wrong::NameWithValue(name) => format!("option --{name}: got an unexpected value"),
    }
}

/// Reads what was typed.
///
/// # Errors
/// What curl says, and its exit code.
pub fn order(typed: &[String]) -> Result<Order, Failure> {
    let usage = |words: String| Failure {
        code: 2,
        words: format!("{words}\ncurl: try 'curl --help' or 'curl --manual' for more information"),
    };
    let words = options::read(typed, &OPTIONS).map_err(|wrong| usage(wrong_option(&wrong)))?;
    let mut order = Order {
        url: Url { host: String::new(), port: 80, path: String::new() },
        only_header: false,
        shows_header: false,
        is_silent: false,
        is_verbose: false,
        fails: false,
        output: None,
        time_max: None,
        connect_max: None,
        headers: Vec::new(),
        method: None,
        is_ipv6: None,
    };
    let (mut shows_errors, mut keeps_name, mut urls) = (false, false, Vec::new());
    for word in words {
        match word {
            Word::Plain(text) => urls.push(text),
            Word::Option("show-error", _) => shows_errors = true,
            Word::Option("remote-name", _) => keeps_name = true,
            Word::Option(name, value) => {
                set(&mut order, name, value.unwrap_or_default()).map_err(usage)?;
            }
        }
    }
    order.is_silent &= !shows_errors;
    match urls.as_slice() {
        [url] => order.url = parse_url(url)?,
        [] => return Err(usage("(2) no URL specified".into())),
        _ => return Err(usage("more than one URL is not for this stand-in of curl".into())),
    }
    if keeps_name {
        let name =
            order.url.path.rsplit('/').next().unwrap_or_default().split('?').next().unwrap_or_default();
        if name.is_empty() {
            return Err(Failure::new(23, "Remote file name has no length"));
        }
        order.output = Some(name.to_owned());
    }
    Ok(order)
}

fn set(order: &mut Order, name: &str, value: String) -> Result<(), String> {
    let seconds = || {
        let seconds = value.parse().ok().filter(|s: &f64| s.is_finite() && *s >= 0.0 && *s < 1e9);
        let seconds =
            seconds.ok_or_else(|| format!("option --{name}: expected a proper numerical parameter"))?;
        Ok::<_, String>(Some(Duration::from_secs_f64(seconds)).filter(|time| !time.is_zero()))
    };
    match name {
        "head" => order.only_header = true,
        "include" => order.shows_header = true,
        "silent" => order.is_silent = true,
        "verbose" => order.is_verbose = true,
        "fail" => order.fails = true,
        "output" => order.output = Some(value),
        "max-time" => order.time_max = seconds()?,
        "connect-timeout" => order.connect_max = seconds()?,
        "header" => order.headers.push(value),
        "user-agent" => order.headers.push(format!("User-Agent: {value}")),
        "request" => order.method = Some(value),
        "ipv4" => order.is_ipv6 = Some(false),
        "ipv6" => order.is_ipv6 = Some(true),
        _ => {}
    }
    Ok(())
}

fn parse_url(text: &str) -> Result<Url, Failure> {
    let bad = || Failure::new(3, "URL using bad/illegal format or missing URL");
    let rest = match text.split_once("://") {
        None => text,
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some((scheme, _)) => {
            return Err(Failure::new(
                1,
                format!("Protocol \"{scheme}\" not supported (netyard's stand-in for curl speaks HTTP)"),
            ));
        }
    };
    let split = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(split);
    let path = path.split('#').next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or_else(bad)?;
            (host, rest.strip_prefix(':'))
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(80), |port| port.parse().map_err(|_| Failure::new(3, "URL using bad/illegal format or missing URL: Port number was not a decimal number between 0 and 65535")))?;
    if host.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(bad());
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok(Url { host: host.to_owned(), port, path })
}

/// The request as it is sent.
#[must_use]
pub fn request(order: &Order) -> String {
    let url = &order.url;
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    let host = if url.port == 80 { host } else { format!("{host}:{}", url.port) };
    let method = order.method.as_deref().unwrap_or(if order.only_header { "HEAD" } else { "GET" });
    let mut lines = vec![format!("{method} {} HTTP/1.1", url.path)];
    for line in [format!("Host: {host}"), "User-Agent: curl/8 (netyard)".into(), "Accept: */*".into()] {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let is_own = |own: &&String| own.split(':').next().is_some_and(|own| own.eq_ignore_ascii_case(&name));
        if !order.headers.iter().any(|own| is_own(&own)) {
            lines.push(line);
        }
    }
    lines.extend(
        order.headers.iter().filter(|line| !line.ends_with(':')).map(|line| line.replace(['\r', '\n'], " ")),
    );
    lines.join("\r\n") + "\r\n\r\n"
}

/// Where the header of an answer ends, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Bytes with the empty line.
    pub len: usize,
    /// The status, 200 for success.
    pub status: u16,
    /// How the end of the body is known.
    pub body: Body,
}

/// How the end of a body is known (RFC 9112 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// By its length.
    Length(u64),
    /// Its last chunk is empty.
    Chunked,
    /// The server closes the connection.
    UntilClosed,
}

/// The header, once it is there as a whole; an error for bytes that are no HTTP.
///
/// # Errors
/// What curl says then.
pub fn head(received: &[u8]) -> Result<Option<Head>, Failure> {
    if !received.starts_with(b"HTTP/") && !b"HTTP/".starts_with(&received[..received.len().min(5)]) {
        return Err(Failure::new(1, "Received HTTP/0.9 when not allowed"));
    }
    let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let text = String::from_utf8_lossy(&received[..at]).into_owned();
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default().split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| Failure::new(8, "Weird server reply"))?;
    let mut body = if matches!(status, 204 | 304) { Body::Length(0) } else { Body::UntilClosed };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("content-length", value) if body != Body::Chunked => {
                body = value.parse().map_or(body, Body::Length);
            }
            ("transfer-encoding", value) if value.eq_ignore_ascii_case("chunked") => body = Body::Chunked,
            _ => {}
        }
    }
    Ok(Some(Head { len: at + 4, status, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Result<Order, Failure> {
        order(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_request_is_as_curl_sends_it() {
        let order = typed("-sI 1.1.1.1").unwrap();
        assert!(order.is_silent && order.only_header);
        assert_eq!(
            request(&order),
            "HEAD / HTTP/1.1\r\nHost: 1.1.1.1\r\nUser-Agent: curl/8 (netyard)\r\nAccept: */*\r\n\r\n"
        );
        let order = typed("http://[fd00::1]:8080/a?b=c#d -H Accept: -H X:y -m 2.5").unwrap();
        assert_eq!(
            request(&order),
            "GET /a?b=c HTTP/1.1\r\nHost: [fd00::1]:8080\r\nUser-Agent: curl/8 (netyard)\r\nX:y\r\n\r\n"
        );
        assert_eq!(order.time_max, Some(Duration::from_millis(2500)));
        assert_eq!(typed("-O http://a/b/c.txt?x").unwrap().output.as_deref(), Some("c.txt"));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        assert_eq!(typed("https://1.1.1.1").unwrap_err().code, 1);
        assert_eq!(typed("").unwrap_err().code, 2);
        assert_eq!(typed("--none x").unwrap_err().code, 2);
        assert_eq!(typed("http://").unwrap_err().code, 3);
        assert_eq!(typed("http://a:99999/").unwrap_err().code, 3);
    }

    #[test]
    fn the_end_of_a_body_is_known() {
        let body = |text: &str| head(text.as_bytes()).unwrap().map(|head| (head.status, head.body));
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), Some((200, Body::Length(5))));
        assert_eq!(
            body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
            Some((200, Body::Chunked))
        );
        assert_eq!(body("HTTP/1.0 404 No\r\n\r\n"), Some((404, Body::UntilClosed)));
        assert_eq!(body("HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(body("HT"), None);
        assert!(head(b"SSH-2.0").is_err());
    }
}
