//! The HTTP server's answers: a request's bytes to an answer's bytes (RFC 9112), no sockets.

use netyard_core::name::LabName;
use std::net::SocketAddr;

const HEAD_LEN_MAX: usize = 16 << 10;

/// The answer to what has come so far; `None` while the request's head is not complete.
///
/// `/ip` is the caller's address alone, `/json` all that is known as JSON, every other path a page for people.
pub(super) fn answer(
    request: &[u8],
    caller: SocketAddr,
    asked: SocketAddr,
    lab: &LabName,
) -> Option<Vec<u8>> {
    let Some(head_len) = find_head(request) else {
        return (request.len() > HEAD_LEN_MAX).then(|| error("431 Request Header Fields Too Large", ""));
    };
    let Ok(head) = std::str::from_utf8(&request[..head_len]) else {
        return Some(error("400 Bad Request", ""));
    };
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (method, target, version, words.next())
    else {
        return Some(error("400 Bad Request", ""));
    };
    let has_body = match method {
        "GET" => true,
        "HEAD" => false,
        _ => return Some(error("405 Method Not Allowed", "Allow: GET, HEAD\r\n")),
    };
    let host =
        lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let host = host.map(|(_, value)| value.trim()).unwrap_or_default();
    let (kind, body) = page(target, host, caller, asked, lab);
    let mut bytes = head_of("200 OK", kind, body.len(), "").into_bytes();
    if has_body {
        bytes.extend_from_slice(body.as_bytes());
    }
    Some(bytes)
}

/// A head ends with an empty line; a bare line feed is taken too, as printf users send it.
fn find_head(request: &[u8]) -> Option<usize> {
    let end = |pattern: &[u8]| request.windows(pattern.len()).position(|window| window == pattern);
    [end(b"\r\n\r\n"), end(b"\n\n")].into_iter().flatten().min()
}

fn page(
    target: &str,
    host: &str,
    caller: SocketAddr,
    asked: SocketAddr,
    lab: &LabName,
) -> (&'static str, String) {
    const TEXT: &str = "text/plain; charset=utf-8";
    let path = target.split('?').next().unwrap_or_default();
    match path {
        "/ip" => (TEXT, format!("{}\n", caller.ip())),
        "/json" => {
            let facts = serde_json::json!({
                "schema": "netyard/caller/1",
                "address": caller.ip(),
                "port": caller.port(),
                "asked": asked.ip(),
                "host": host,
                "path": target,
                "lab": lab,
            });
            ("application/json", format!("{facts}\n"))
        }
        _ => {
            let (from, to) = (caller.ip(), asked.ip());
            let text = format!(
                "This is the internet of the lab {lab}.\nYou asked {to} for {target}\nYou are {from} port {}\n",
                caller.port()
            );
            (TEXT, text)
        }
    }
}

fn error(status: &str, headers: &str) -> Vec<u8> {
    let body = format!("{status}\n");
    let mut bytes = head_of(status, "text/plain; charset=utf-8", body.len(), headers);
    bytes.push_str(&body);
    bytes.into_bytes()
}

fn head_of(status: &str, kind: &str, len: usize, headers: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nServer: netyard\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
         Cache-Control: no-store\r\n{headers}Connection: close\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(request: &str) -> Option<String> {
        let lab = LabName::new("home").unwrap();
        let (caller, asked) = ("10.138.0.3:40312".parse().unwrap(), "1.1.1.1:80".parse().unwrap());
        answer(request.as_bytes(), caller, asked, &lab).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn callers_are_told_who_they_are() {
        let page = ask("GET /a?b HTTP/1.1\r\nHost: one.one\r\n\r\n").unwrap();
        assert_eq!(
            page,
            "HTTP/1.1 200 OK\r\nServer: netyard\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 95\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n\
             This is the internet of the lab home.\nYou asked 1.1.1.1 for /a?b\nYou are 10.138.0.3 port 40312\n"
        );
        let page = ask("GET /ip HTTP/1.1\r\n\r\n").unwrap();
        assert!(page.ends_with("\r\n\r\n10.138.0.3\n"), "{page}");
        let page = ask("GET /json?x HTTP/1.0\r\nhost:\"q\"\r\n\r\n").unwrap();
        let body = page.split("\r\n\r\n").nth(1).unwrap();
        let facts: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&facts["address"], &facts["port"]), (&"10.138.0.3".into(), &40312.into()));
        assert_eq!((&facts["asked"], &facts["host"]), (&"1.1.1.1".into(), &"\"q\"".into()));
    }

    #[test]
    fn head_has_the_length_but_not_the_body() {
        let page = ask("HEAD /ip HTTP/1.1\r\n\r\n").unwrap();
        assert!(page.contains("Content-Length: 11\r\n") && page.ends_with("\r\n\r\n"), "{page}");
    }

    #[test]
    fn what_is_not_a_request_is_refused() {
        let status = |request: &str| ask(request).map(|page| page[9..12].to_owned());
        assert_eq!(status("GET / HTTP/1.1\r\nHost: x\r\n"), None);
        assert_eq!(status("POST / HTTP/1.1\r\n\r\n"), Some("405".into()));
        assert_eq!(status("GET /\r\n\r\n"), Some("400".into()));
        assert_eq!(status("GET / x HTTP/1.1\n\n"), Some("400".into()));
        assert_eq!(status(&"x".repeat(20_000)), Some("431".into()));
    }
}
