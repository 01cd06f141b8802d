import Logging
import MeshCore

/// Turns what an earlier controller saved into provisional leases, where it still holds: the process lives, in the same
/// boot of the machine, and `addresses.json` gives the name the same address and identity.
struct LeaseRestoration {
  let book: AddressBook
  let trustDomain: String
  let processes: ProcessProbe
  let now: Instant
  let log: Logger

  func leases(from saved: SavedRegistrations) -> WorkloadLeases {
    var leases = WorkloadLeases()
    guard saved.boot == processes.boot else {
      log.info("the machine was restarted: no workload of the last controller lives")
      return leases
    }
    var addresses: Set<SocketAddress> = []
    for (name, entry) in saved.workloads.sorted(by: { $0.key < $1.key }) where !leases.isFull {
      guard processes.isRunning(entry.processID) else {
        log.info("workload not restored: its process ended", metadata: ["workload": "\(name)"])
        continue
      }
      guard let known = book[name], let address = book.address(of: name), address.host == entry.address,
        !known.tokenHash.isEmpty, known.namespace == entry.namespace, known.serviceAccount == entry.serviceAccount,
        let request = try? entry.request(name: name), addresses.insert(address).inserted
      else {
        log.warning("workload not restored: the saved state contradicts itself", metadata: ["workload": "\(name)"])
        continue
      }
      let identity = SPIFFEID(
        trustDomain: trustDomain, namespace: entry.namespace, serviceAccount: entry.serviceAccount)
      leases.restore(
        name: name, request: request, address: address, identity: identity, tokenHash: known.tokenHash,
        ready: entry.ready, draining: entry.draining, now: now)
    }
    if !leases.names.isEmpty {
      log.info("workloads restored until they register again", metadata: ["count": "\(leases.names.count)"])
    }
    return leases
  }
}
