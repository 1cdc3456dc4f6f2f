//! The NIC that tests of drivers get, as `tools/testing/selftests/drivers/net/README.rst` asks for it: an interface with
//! addresses, and where its peer is.

use serde::Deserialize;

/// The interface that tests are run on.
const LOCAL: &str = "ksft0";
/// What it is linked to, in a namespace of its own.
const REMOTE: &str = "ksft1";
const NAMESPACE: &str = "ksft-remote";
/// Addresses for documentation (RFC 5737, RFC 3849).
const LOCAL_V4: &str = "192.0.2.1";
const REMOTE_V4: &str = "192.0.2.2";
const LOCAL_V6: &str = "2001:db8:1::1";
const REMOTE_V6: &str = "2001:db8:1::2";
/// For tests that put a container behind the interface.
const CONTAINER_V6: &str = "2001:db8:2::/64";

/// What tests read to find the pair.
pub(super) const ENVIRONMENT: [(&str, &str); 8] = [
    ("NETIF", LOCAL),
    ("LOCAL_V4", LOCAL_V4),
    ("LOCAL_V6", LOCAL_V6),
    ("LOCAL_PREFIX_V6", CONTAINER_V6),
    ("REMOTE_V4", REMOTE_V4),
    ("REMOTE_V6", REMOTE_V6),
    ("REMOTE_TYPE", "netns"),
    ("REMOTE_ARGS", NAMESPACE),
];

type Commands = Vec<Vec<String>>;

fn commands(lines: &[String]) -> Commands {
    lines.iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

/// Removes what a program before left. Links go with the namespace that either end is in.
pub(super) fn removal() -> Commands {
    commands(&["ip -all netns delete".to_owned(), format!("ip link delete {LOCAL}")])
}

/// Makes a pair, whose peer the kernel may name as it likes.
pub(super) fn creation(kind: &str) -> Commands {
    commands(&[format!("ip netns add {NAMESPACE}"), format!("ip link add {LOCAL} type {kind}")])
}

/// Prints all links of a kind.
pub(super) fn listing(kind: &str) -> Vec<String> {
    format!("ip -json link show type {kind}").split(' ').map(str::to_owned).collect()
}

#[derive(Deserialize)]
struct Link {
    ifname: String,
    /// The other end of a pair.
    link: Option<String>,
}

/// The peer's name, from what `listing` printed: `None` if there is no pair.
pub(super) fn peer(listing: &str) -> Option<String> {
    let links: Vec<Link> = serde_json::from_str(listing).ok()?;
    links.into_iter().find(|link| link.ifname == LOCAL)?.link
}

/// Puts the peer away and both up. Duplicate address detection would take seconds, in which no test could begin.
pub(super) fn configuration(peer: &str) -> Commands {
    let up = |ip: &str, name: &str, v4: &str, v6: &str| {
        [
            format!("{ip} link set lo up"),
            format!("{ip} address add {v4}/24 dev {name}"),
            format!("{ip} address add {v6}/64 dev {name} nodad"),
            format!("{ip} link set {name} up"),
        ]
    };
    let mut lines = vec![format!("ip link set {peer} netns {NAMESPACE} name {REMOTE}")];
    lines.extend(up(&format!("ip -n {NAMESPACE}"), REMOTE, REMOTE_V4, REMOTE_V6));
    lines.extend(up("ip", LOCAL, LOCAL_V4, LOCAL_V6));
    commands(&lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_is_what_the_interface_is_linked_to() {
        let listing = r#"[{"ifindex":5,"link":"zcsim0","ifname":"ksft0","flags":["BROADCAST"],"mtu":1500},
            {"ifindex":4,"link":"ksft0","ifname":"zcsim0","flags":["BROADCAST"],"mtu":1500}]"#;
        assert_eq!(peer(listing).as_deref(), Some("zcsim0"));
        assert_eq!(peer("[]"), None);
        assert_eq!(peer("Device \"x\" does not exist."), None);
    }

    #[test]
    fn each_end_gets_both_addresses_in_its_own_namespace() {
        let lines: Vec<String> = configuration("zcsim0").iter().map(|words| words.join(" ")).collect();
        assert_eq!(
            lines,
            [
                "ip link set zcsim0 netns ksft-remote name ksft1",
                "ip -n ksft-remote link set lo up",
                "ip -n ksft-remote address add 192.0.2.2/24 dev ksft1",
                "ip -n ksft-remote address add 2001:db8:1::2/64 dev ksft1 nodad",
                "ip -n ksft-remote link set ksft1 up",
                "ip link set lo up",
                "ip address add 192.0.2.1/24 dev ksft0",
                "ip address add 2001:db8:1::1/64 dev ksft0 nodad",
                "ip link set ksft0 up",
            ]
        );
    }
}
