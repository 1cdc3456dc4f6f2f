//! Waiting until something listens, and until a file reads as it should.

use std::{
    fs, io, thread,
    time::{Duration, Instant},
};

use protocol::{Listen, Transport, WaitFile};

use crate::namespace;

/// Between two looks at the kernel's tables and files.
const INTERVAL: Duration = Duration::from_millis(4);

/// Waits until a socket listens (TCP) or is bound and unconnected (UDP), of either IP version. The tables are read
/// and no connection is tried: a server for one client would take the probe for it.
pub(crate) fn wait(listen: &Listen) -> Result<(), String> {
    if let Some(name) = &listen.netns {
        namespace::enter(name)?;
    }
    let deadline = Instant::now() + Duration::from_millis(listen.deadline_ms);
    loop {
        if listens(listen.transport, listen.port).map_err(|error| format!("reading /proc/net: {error}"))? {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let Listen { transport, port, deadline_ms, .. } = listen;
            return Err(format!("nothing listens on {transport:?} port {port} after {deadline_ms} ms"));
        }
        // The kernel announces no socket that starts to listen. Nobody unparks this thread.
        thread::park_timeout(INTERVAL);
    }
}

/// Waits until a file reads as it should. What is below /proc and /sys tells nobody that it has changed.
pub(crate) fn wait_file(awaited: &WaitFile) -> Result<(), String> {
    let WaitFile { netns, path, content, deadline_ms } = awaited;
    if let Some(name) = netns {
        namespace::enter(name)?;
    }
    let deadline = Instant::now() + Duration::from_millis(*deadline_ms);
    loop {
        let read = fs::read_to_string(path);
        if read.as_ref().is_ok_and(|text| text.trim_end() == content) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let last = match read {
                Ok(text) => format!("it reads `{}`", text.trim_end()),
                Err(error) => error.to_string(),
            };
            return Err(format!("{path} is not `{content}` after {deadline_ms} ms: {last}"));
        }
        thread::park_timeout(INTERVAL);
    }
}

fn listens(transport: Transport, port: u16) -> io::Result<bool> {
    let tables = match transport {
        Transport::Tcp => ["tcp", "tcp6"],
        Transport::Udp => ["udp", "udp6"],
    };
    for table in tables {
        match fs::read_to_string(format!("/proc/thread-self/net/{table}")) {
            Ok(text) if has_listener(&text, transport, port) => return Ok(true),
            Ok(_) => {}
            // A kernel without IPv6 has no tcp6.
            Err(error) if error.kind() == io::ErrorKind::NotFound && table.ends_with('6') => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Reads the second column (local address and port) and the fourth (state), both hexadecimal.
fn has_listener(table: &str, transport: Transport, port: u16) -> bool {
    // enum tcp_states: TCP_LISTEN; a bound UDP socket is in TCP_CLOSE until it is connected.
    let wanted = match transport {
        Transport::Tcp => "0A",
        Transport::Udp => "07",
    };
    table.lines().skip(1).any(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let local = columns.next().and_then(|local| local.rsplit_once(':'));
        let state = columns.nth(1);
        local.is_some_and(|(_, bound)| u16::from_str_radix(bound, 16) == Ok(port)) && state == Some(wanted)
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    // Captured in a 6.12 guest: `iperf3 -s` with one client, and `sockperf server`, in one namespace.
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1451 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 394 1 00000000daceb367 100 0 0 10 0
   1: 0000000000000000FFFF00000100000A:1451 0000000000000000FFFF00000200000A:B312 01 00000000:00000000 00:00000000 00000000     0        0 396 1 000000008bc0ad4a 20 4 29 10 -1
   2: 0000000000000000FFFF00000100000A:1451 0000000000000000FFFF00000200000A:B320 01 00000000:00000000 00:00000000 00000000     0        0 398 2 000000001c493e09 20 4 0 10 -1
   3: 0000000000000000FFFF00000100000A:1451 0000000000000000FFFF00000200000A:B304 06 00000000:00000000 03:00001690 00000000     0        0 0 3 00000000610f31e9
";
    const UDP: &str = "\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            
   81: 0100000A:2B67 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 383 2 00000000937b8256 0           
";

    #[test]
    fn only_a_listening_socket_on_that_local_port_counts() {
        assert!(has_listener(TCP6, Transport::Tcp, 5201));
        assert!(!has_listener(TCP6, Transport::Tcp, 0xB312), "the remote port of a connection");
        let first = TCP6.lines().position(|line| line.contains(" 0A ")).unwrap();
        let without: String = TCP6
            .lines()
            .enumerate()
            .filter(|(at, _)| *at != first)
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        assert!(!has_listener(&without, Transport::Tcp, 5201), "only connections of a server that has gone");
        assert!(has_listener(UDP, Transport::Udp, 11111));
        assert!(!has_listener("", Transport::Tcp, 0));
        assert!(!has_listener("header\n garbage", Transport::Tcp, 1));
    }

    #[test]
    fn finds_sockets_of_this_process() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        for (transport, port) in [
            (Transport::Tcp, tcp.local_addr().unwrap().port()),
            (Transport::Udp, udp.local_addr().unwrap().port()),
        ] {
            wait(&Listen { netns: None, transport, port, deadline_ms: 1000 }).unwrap();
        }
    }

    #[test]
    fn a_connected_datagram_socket_is_no_server() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let port = client.local_addr().unwrap().port();
        assert!(wait(&Listen { netns: None, transport: Transport::Udp, port, deadline_ms: 10 }).is_err());
    }

    #[test]
    fn a_file_is_awaited_until_it_reads_as_it_should() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("carrier");
        let path = path.to_str().unwrap().to_owned();
        let awaited =
            |deadline_ms| WaitFile { netns: None, path: path.clone(), content: "1".into(), deadline_ms };
        assert!(wait_file(&awaited(5)).unwrap_err().ends_with("No such file or directory (os error 2)"));
        fs::write(&path, "0\n").unwrap();
        assert_eq!(
            wait_file(&awaited(5)).unwrap_err(),
            format!("{path} is not `1` after 5 ms: it reads `0`")
        );
        thread::scope(|scope| {
            let waiting = scope.spawn(|| wait_file(&awaited(10_000)));
            fs::write(&path, "1\n").unwrap();
            waiting.join().unwrap().unwrap();
        });
    }

    #[test]
    fn the_deadline_names_what_was_awaited() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let end =
            wait(&Listen { netns: None, transport: Transport::Tcp, port, deadline_ms: 10 }).unwrap_err();
        assert_eq!(end, format!("nothing listens on Tcp port {port} after 10 ms"));
    }
}
