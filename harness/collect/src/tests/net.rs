use super::*;

fn lacks(reduced: &Reduced, metric: &str) -> String {
    let lacking =
        reduced.unavailable.iter().filter(|reason| reason.split(':').next().unwrap().contains(metric));
    lacking.cloned().collect::<Vec<_>>().join("\n")
}

#[test]
fn rates_are_those_of_the_sending_side() {
    let mut window = two_guests();
    let table = |sent, again, received| {
        move |_| format!("Tcp: InSegs OutSegs RetransSegs MaxConn\nTcp: {received} {sent} {again} -1\n")
    };
    edit(&mut window.client.before, "/proc/net/snmp", table(1000, 10, 50));
    edit(&mut window.client.after, "/proc/net/snmp", table(3000, 30, 150));
    window.traffic = Traffic::Bulk(Payload { client_to_server: Some(400 * 4096), server_to_client: Some(0) });
    let reduced = reduce(&[Collector::Net], &window);
    assert_eq!(values(&reduced, "drop-rate"), [(vec!["client".to_owned()], 1.0)]);
    assert_eq!(values(&reduced, "acks-per-page"), [(vec!["client".to_owned()], 0.25)]);
}

#[test]
fn in_the_other_direction_the_server_sends() {
    let mut window = two_guests();
    window.traffic = Traffic::Bulk(Payload { client_to_server: Some(0), server_to_client: Some(1 << 20) });
    let reduced = reduce(&[Collector::Net], &window);
    assert_eq!(values(&reduced, "drop-rate")[0].0, ["server"]);
    assert_eq!(values(&reduced, "acks-per-page")[0].0, ["server"]);
}

#[test]
fn messages_have_no_pages_and_udp_has_no_segments() {
    let mut window = two_guests();
    window.traffic = Traffic::TcpMessages;
    let reduced = reduce(&[Collector::Net], &window);
    assert_eq!(values(&reduced, "drop-rate").len(), 2);
    assert!(lacks(&reduced, "acks-per-page").contains("no bulk payload"));
    window.traffic = Traffic::UdpMessages;
    let reduced = reduce(&[Collector::Net], &window);
    for metric in ["drop-rate", "acks-per-page", "tcp-timeouts", "socket-drops"] {
        assert_eq!(values(&reduced, metric), []);
        assert!(lacks(&reduced, metric).contains("does not use TCP"), "{metric}");
    }
    assert_eq!(values(&reduced, "softnet-drops").len(), 2);
}

#[test]
fn one_namespace_does_not_tell_its_sides_apart() {
    let mut window = two_guests();
    window.sides = Sides::OneNamespace;
    let reduced = reduce(&[Collector::Net], &window);
    assert!(lacks(&reduced, "drop-rate").contains("do not tell them apart"));
    assert_eq!(values(&reduced, "tcp-timeouts")[0].0, ["guest"]);
}

#[test]
fn a_payload_that_is_not_known_makes_no_page() {
    let mut window = two_guests();
    window.traffic = Traffic::Bulk(Payload { client_to_server: None, server_to_client: Some(0) });
    let reduced = reduce(&[Collector::Net], &window);
    assert_eq!(values(&reduced, "acks-per-page"), []);
    assert!(lacks(&reduced, "acks-per-page").contains("does not account"));
    assert_eq!(values(&reduced, "drop-rate").len(), 1);
}

#[test]
fn a_side_that_sent_no_segment_has_no_rate() {
    let mut window = two_guests();
    window.client.after = window.client.before.clone();
    let reduced = reduce(&[Collector::Net], &window);
    assert_eq!(values(&reduced, "drop-rate"), []);
    assert!(lacks(&reduced, "drop-rate").contains("division by zero"));
}

#[test]
fn a_counter_that_the_kernel_lacks_is_named() {
    let mut window = two_guests();
    edit(&mut window.server.after, "/proc/net/netstat", |text| text.replace("TCPRcvQDrop", "Other"));
    let reduced = reduce(&[Collector::Net], &window);
    assert_eq!(values(&reduced, "socket-drops")[0].0, ["client"]);
    assert!(lacks(&reduced, "socket-drops").contains("`TCPRcvQDrop`"));
    assert_eq!(values(&reduced, "tcp-timeouts").len(), 2);
}

#[test]
fn drops_of_interfaces_and_cores_are_counted() {
    let mut window = two_guests();
    edit(&mut window.server.after, "/proc/net/dev", |text| {
        let lines = text.lines().map(|line| match line.trim_start().starts_with("eth0:") {
            true => "eth0:1 2 0 3 0 0 0 0 1 2 0 4 0 0 0 0".to_owned(),
            false => line.to_owned(),
        });
        lines.map(|line| line + "\n").collect()
    });
    edit(&mut window.server.before, "/proc/net/softnet_stat", |_| "10 1 f\n".into());
    edit(&mut window.server.after, "/proc/net/softnet_stat", |_| "20 b 11\n".into());
    let reduced = reduce(&[Collector::Net], &window);
    let of_server = |metric| {
        let all = values(&reduced, metric);
        all.into_iter().find(|(dims, _)| dims.iter().any(|dim| dim == "server")).unwrap()
    };
    assert_eq!(of_server("nic-drops"), (vec!["eth0".to_owned(), "server".to_owned()], 7.0));
    assert_eq!(of_server("softnet-drops").1, 10.0);
    assert_eq!(of_server("softnet-squeezes").1, 2.0);
}

#[test]
fn an_interface_or_a_core_that_comes_or_goes_is_told() {
    let mut window = two_namespaces();
    edit(&mut window.server.after, "/proc/net/dev", |text| text + "veth0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
    edit(&mut window.client.after, "/proc/net/softnet_stat", |text| {
        text.lines().next().unwrap().to_owned() + "\n"
    });
    let reduced = reduce(&[Collector::Net], &window);
    assert!(lacks(&reduced, "nic-drops").contains("(side server): /proc/net/dev: interfaces came or went"));
    assert_eq!(values(&reduced, "nic-drops")[0].0, ["eth1", "client"]);
    assert!(lacks(&reduced, "softnet-drops").contains("cores came or went"));
}
