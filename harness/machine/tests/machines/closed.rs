//! Closed worlds: what a guest does is the same to the nanosecond, and an instruction is a nanosecond.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use std::time::Duration;

use machine::{BootEnd, ClosedWorld, Executed, GuestCommand, Running, Script, World};
use measure::Perturbation;
use plan::{Accel, CpuModel, Iommu, IommuMode, Knobs, Machine, Nic, NicModel, QemuMachine, Topology};

use crate::lab::{Lab, up};

const DEADLINE: Duration = Duration::from_secs(120);
const POWER_OFF: Duration = Duration::from_secs(20);

fn machine(topology: Topology) -> Machine {
    Machine::Qemu(QemuMachine {
        accel: Accel::Tcg,
        cpu: CpuModel::Max,
        vcpus: 1,
        memory_mib: 512,
        topology,
        knobs: Knobs::default(),
    })
}

fn two_e1000e() -> Topology {
    let nic = |model| Nic { model, iommu: Iommu { mode: IommuMode::Strict, caching_mode: false }, mtu: 1500 };
    Topology::TwoNamespaces { server: nic(NicModel::E1000e), client: nic(NicModel::E1000e) }
}

/// A server and a client of a megabyte; everything that can be seen of them, times included.
async fn work(running: &Running) -> Vec<Executed> {
    let (server, client) = (running.server(), running.client());
    let address = server.address.to_string();
    let serving = ["--server", "--one-off", "--json"];
    let serving = server.session.start(server.command("iperf3").args(serving)).await.unwrap();
    server
        .session
        .wait_listening(server.netns, protocol::Transport::Tcp, 5201, Duration::from_secs(30))
        .await
        .unwrap();
    let sending = ["--client", &address, "--bytes", "1M", "--json"];
    let sent = client.session.exec(client.command("iperf3").args(sending)).await.unwrap();
    let served = serving.wait().await.unwrap();
    let random = GuestCommand::new("busybox").args(["sh", "-c", "head -c 16 /dev/urandom | od -x"]);
    let random = client.session.exec(random).await.unwrap();
    vec![sent, served, random]
}

/// What was done in a closed world with this seed.
async fn closed(lab: &Lab, machine: &Machine, script: &Script, seed: u32) -> Vec<Executed> {
    let perturbation = Perturbation { seed, ..Perturbation::default() };
    let world = World::Closed(ClosedWorld { script: script.clone(), perturbation, counting: None });
    let running = up(lab.boot_in(&world, machine, &[], false, DEADLINE).await.unwrap());
    let done = work(&running).await;
    running.power_off(POWER_OFF).await.unwrap().unwrap();
    done
}

async fn rehearse(lab: &Lab, machine: &Machine) -> Script {
    let running = up(lab.boot_in(&World::Rehearsal, machine, &[], false, DEADLINE).await.unwrap());
    work(&running).await;
    let script = running.script().unwrap();
    running.power_off(POWER_OFF).await.unwrap().unwrap();
    script
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_the_same_to_the_nanosecond() {
    let Some(lab) = Lab::real() else { return };
    for topology in [Topology::Loopback, two_e1000e()] {
        let machine = machine(topology);
        let script = rehearse(&lab, &machine).await;
        let first = closed(&lab, &machine, &script, 1).await;
        for executed in &first {
            assert_eq!(executed.how, protocol::HowEnded::Exited(0), "{executed:?}");
        }
        assert!(String::from_utf8_lossy(&first[0].stdout).contains("bits_per_second"));
        let second = closed(&lab, &machine, &script, 1).await;
        assert!(first == second, "{first:?}\n{second:?}");
        // Another seed gives other random numbers, and with them other addresses and orders.
        let other = closed(&lab, &machine, &script, 2).await;
        assert_ne!(first[2].stdout, other[2].stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_something_else_than_was_rehearsed_is_told() {
    let Some(lab) = Lab::real() else { return };
    let machine = machine(Topology::Loopback);
    let script = rehearse(&lab, &machine).await;
    let world = World::Closed(ClosedWorld { script, ..ClosedWorld::default() });
    let running = up(lab.boot_in(&world, &machine, &[], false, DEADLINE).await.unwrap());
    let other = GuestCommand::new("busybox").arg("uname");
    let refused = running.client().session.exec(other).await.unwrap_err().to_string();
    assert!(refused.contains("`busybox uname` is asked now") && refused.contains("iperf3"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_world_that_cannot_be_closed_is_refused_with_the_reason() {
    let Some(lab) = Lab::real() else { return };
    let nic = |model| Nic { model, iommu: Iommu { mode: IommuMode::None, caching_mode: false }, mtu: 1500 };
    let both = |model| Topology::TwoNamespaces { server: nic(model), client: nic(model) };
    let two_guests = Topology::TwoGuests { server: nic(NicModel::E1000e), client: nic(NicModel::E1000e) };
    for (topology, why) in [
        (two_guests, "two guests"),
        (both(NicModel::Igb), "igb is not"),
        (both(NicModel::VirtioNet), "virtio-net"),
    ] {
        let world = World::Closed(ClosedWorld::default());
        match lab.boot_in(&world, &machine(topology), &[], false, DEADLINE).await.unwrap() {
            BootEnd::NotTestable(said) => assert!(said.contains(why), "{said}"),
            other => panic!("{other:?}"),
        }
    }
}
