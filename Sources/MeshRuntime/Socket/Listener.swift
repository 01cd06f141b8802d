internal import CLinux
internal import Glibc
package import MeshCore

/// A listening socket of one worker. Workers share an address through SO_REUSEPORT; the kernel spreads connections.
///
/// Owned by its worker until `close`. Level-triggered: what one batch leaves is taken in the next turn.
/// Out of file descriptors, it rests for 100 ms instead of spinning (`WorkerCounters.acceptPauses`).
package final class Listener: TimerHandler {
  package let address: SocketAddress
  unowned let worker: Worker
  let handler: any ListenerHandler
  private let descriptor: Int32
  private let batch: Int
  private let backlog: Int
  var key = Slab<EventSource>.Key(rawValue: 0)
  package private(set) var isOpen = true
  private lazy var restTimer = LoopTimer(owner: self)

  init(
    worker: Worker, address: SocketAddress, backlog: Int, batch: Int, handler: any ListenerHandler
  ) throws(RuntimeError) {
    descriptor = clinux_listen(address.native, Int32(clamping: backlog), 1)
    guard descriptor >= 0 else { throw .cannotListen(address, code: -descriptor) }
    var bound = clinux_address()
    self.address = clinux_local_address(descriptor, &bound) == 0 ? SocketAddress(bound) : address
    self.worker = worker
    self.batch = batch
    self.backlog = backlog
    self.handler = handler
  }

  deinit {
    if isOpen { clinux_close(descriptor) }
  }

  func register() throws(RuntimeError) {
    let code = clinux_epoll_add(worker.epoll, descriptor, CLINUX_IN, key.rawValue)
    guard code == 0 else { throw .cannotListen(address, code: -code) }
  }

  /// Stops accepting. Takes what waits in the kernel's queue first, since the kernel would reset it: a full queue at
  /// most, so that a flood of connections cannot hold the loop.
  package func close() {
    guard isOpen else { return }
    acceptReady(atMost: backlog, isLast: true)
    isOpen = false
    worker.cancel(restTimer)
    clinux_close(descriptor)
    worker.forget(key)
  }

  func acceptReady() { acceptReady(atMost: min(batch, worker.crowding.acceptShare), isLast: false) }

  private func acceptReady(atMost count: Int, isLast: Bool) {
    for index in 0..<count {
      guard isOpen else { return }
      if !isLast, index & 7 == 7, worker.isTurnLong { return }
      var peer = clinux_address()
      let accepted = clinux_accept(descriptor, &peer)
      worker.counters.accepts += 1
      if accepted >= 0 {
        let connection = worker.adopt(descriptor: accepted, peer: SocketAddress(peer))
        handler.accepted(connection, on: self)
        continue
      }
      switch -accepted {
      case EAGAIN: return
      case EMFILE, ENFILE, ENOBUFS, ENOMEM: return rest()
      default: worker.counters.acceptErrors += 1  // The peer was gone before we came (ECONNABORTED and its kin).
      }
    }
  }

  private func rest() {
    worker.counters.acceptPauses += 1
    _ = clinux_epoll_modify(worker.epoll, descriptor, 0, key.rawValue)
    worker.schedule(restTimer, after: .milliseconds(100))
  }

  package func timerFired(_ timer: LoopTimer) {
    guard isOpen else { return }
    _ = clinux_epoll_modify(worker.epoll, descriptor, CLINUX_IN, key.rawValue)
  }
}

extension SocketAddress {
  var native: clinux_address { clinux_address(high: high, low: low, port: port) }

  init(_ native: clinux_address) {
    self.init(high: native.high, low: native.low, port: native.port)
  }
}
